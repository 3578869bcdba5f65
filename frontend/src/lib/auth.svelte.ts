/** The token of the person at this browser. */

const KEY = "shellport.token";

class Auth {
  token = $state<string | null>(null);
  /** The server has refused the token, or the lack of one. */
  required = $state(false);
  /** A token was given and refused, as opposed to none given. */
  refused = $state(false);

  /**
   * Takes the token from the fragment of the address, which is never sent to a
   * server, and removes it there so that it is not copied with the address.
   */
  begin(): void {
    this.token = localStorage.getItem(KEY);
    const given = new URLSearchParams(location.hash.slice(1)).get("token");
    if (!given) return;
    history.replaceState(history.state, "", location.pathname + location.search);
    this.signIn(given);
  }

  signIn(token: string): void {
    this.token = token;
    localStorage.setItem(KEY, token);
    this.required = false;
  }

  demand(): void {
    this.refused = this.token !== null;
    this.required = true;
  }
}

export const auth = new Auth();
