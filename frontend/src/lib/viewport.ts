/**
 * Keeps an element exactly as large as what can be seen: on phones the keyboard
 * covers the page instead of making it smaller. Returns the way to stop.
 */
export function followVisibleArea(element: HTMLElement): () => void {
  const area = window.visualViewport;
  if (!area) return () => undefined;
  const follow = () => {
    // Zoomed in by two fingers, the page keeps its size and moves underneath.
    if (area.scale > 1.01) return;
    element.style.height = `${area.height}px`;
    element.style.top = `${area.offsetTop}px`;
  };
  follow();
  area.addEventListener("resize", follow);
  area.addEventListener("scroll", follow);
  return () => {
    area.removeEventListener("resize", follow);
    area.removeEventListener("scroll", follow);
  };
}
