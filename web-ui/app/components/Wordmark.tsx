/** The mark (the same drawing as favicon.svg) and the name. */
export function Wordmark() {
  return (
    <span class="wordmark">
      <svg viewBox="0 0 32 32" width="22" height="22" aria-hidden="true">
        <path d="M8 21a8 8 0 0 1 16 0z" fill="currentColor" />
        <path
          d="M3 21.5h26M9 27h14M16 5v3.5M5.5 10.5 8 13M26.5 10.5 24 13"
          fill="none"
          stroke="currentColor"
          stroke-width="2.6"
          stroke-linecap="round"
        />
      </svg>
      Reveille
    </span>
  );
}
