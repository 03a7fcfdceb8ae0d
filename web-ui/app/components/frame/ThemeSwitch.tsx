import { type Theme, theme, THEMES } from "../../settings";

const LABELS: Readonly<Record<Theme, string>> = { system: "Auto", light: "Light", dark: "Dark" };
const MEANS: Readonly<Record<Theme, string>> = { system: "as the system", light: "always light", dark: "always dark" };

/** One button that goes round: as the system, light, dark. */
export function ThemeSwitch() {
  const next = THEMES[(THEMES.indexOf(theme.value) + 1) % THEMES.length] ?? "system";
  return (
    <button type="button" class="theme" aria-label={`${LABELS[theme.value]}: colours ${MEANS[theme.value]}. Change to ${MEANS[next]}`} title={`Colours: ${MEANS[theme.value]}`} onClick={() => (theme.value = next)}>
      <svg viewBox="0 0 20 20" width="20" height="20" aria-hidden="true">
        <circle cx="10" cy="10" r="7" fill="none" stroke="currentColor" stroke-width="1.7" />
        <path d="M10 3a7 7 0 0 1 0 14z" fill="currentColor" />
      </svg>
      <span>{LABELS[theme.value]}</span>
    </button>
  );
}
