/** Short messages over the page, with something to do about them or not. */

export interface ToastAction {
  label: string;
  run: () => void;
}

export interface Toast {
  /** A second toast with the same key takes the place of the first. */
  key: string;
  message: string;
  actions: ToastAction[];
}

const STAYS_MS = 6_000;
const STAYS_WITH_ACTIONS_MS = 20_000;

class Toasts {
  #list = $state<Toast[]>([]);
  #timers = new Map<string, ReturnType<typeof setTimeout>>();

  get list(): readonly Toast[] {
    return this.#list;
  }

  show(key: string, message: string, actions: ToastAction[] = []): void {
    this.dismiss(key);
    this.#list.push({ key, message, actions });
    const stays = actions.length > 0 ? STAYS_WITH_ACTIONS_MS : STAYS_MS;
    this.#timers.set(key, setTimeout(() => this.dismiss(key), stays));
  }

  dismiss(key: string): void {
    clearTimeout(this.#timers.get(key));
    this.#timers.delete(key);
    this.#list = this.#list.filter((toast) => toast.key !== key);
  }
}

export const toasts = new Toasts();
