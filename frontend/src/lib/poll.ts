/**
 * Repeats a task with a pause after each run, never two at once. `pauseMs` is
 * asked each time; null means to wait until the page is seen again. Returns the
 * way to stop.
 */
export function poll(task: () => Promise<void>, pauseMs: () => number | null): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let stopped = false;
  let busy = false;

  async function run(): Promise<void> {
    if (busy || stopped) return;
    clearTimeout(timer);
    busy = true;
    await task();
    busy = false;
    const pause = pauseMs();
    if (!stopped && pause !== null) timer = setTimeout(() => void run(), pause);
  }

  const seen = () => {
    if (!document.hidden) void run();
  };
  document.addEventListener("visibilitychange", seen);
  void run();
  return () => {
    stopped = true;
    clearTimeout(timer);
    document.removeEventListener("visibilitychange", seen);
  };
}
