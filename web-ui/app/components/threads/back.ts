import { signal } from "@preact/signals";

/** The list from which a conversation was opened. */
export const backTo = signal<string | undefined>(undefined);
