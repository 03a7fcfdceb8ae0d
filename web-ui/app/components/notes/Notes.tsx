export function Notes() {
  return <main class="notes-page" id="main" tabIndex={-1} />;
}
