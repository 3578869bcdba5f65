/** Not in the type library: only some browsers have it. */
interface KeyboardLock {
  lock?: () => Promise<void>;
}

/**
 * Fills the screen and, where the browser allows it, hands Ctrl-W, Ctrl-T and
 * their like to the terminal instead of closing it.
 */
export async function toggleFullscreen(): Promise<void> {
  if (document.fullscreenElement) {
    await document.exitFullscreen();
    return;
  }
  await document.documentElement.requestFullscreen();
  const { keyboard } = navigator as Navigator & { keyboard?: KeyboardLock };
  await keyboard?.lock?.();
}
