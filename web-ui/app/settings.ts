/** How this browser likes the page. Kept in it; nothing here is a secret. */
import { effect, type Signal, signal } from "@preact/signals";

export type Theme = "system" | "light" | "dark";
export const THEMES: readonly Theme[] = ["system", "light", "dark"];
export type SortKey = "state" | "name" | "activity" | "next" | "cost";

export const theme = kept<Theme>("reveille.theme", "system", (value) => THEMES.includes(value as Theme));
export const homeSort = kept<SortKey>("reveille.home.sort", "state", (value) => ["state", "name", "activity", "next", "cost"].includes(value));

function kept<T extends string>(key: string, usual: T, allowed: (value: string) => boolean): Signal<T> {
  const found = read(key);
  const value = signal<T>(found !== null && allowed(found) ? (found as T) : usual);
  effect(() => write(key, value.value));
  return value;
}

/** A browser that keeps nothing for pages throws; the page then forgets its settings, and no more. */
function read(key: string): string | null {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}

function write(key: string, value: string): void {
  try {
    localStorage.setItem(key, value);
  } catch {
    // Nothing is kept.
  }
}

export function startTheme(): void {
  effect(() => {
    if (theme.value === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme.value;
  });
}
