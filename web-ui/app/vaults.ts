/** What is to be said of vaults that do not work as they should. Pure. */
import type { Health, VaultHealth } from "./api";

/** One line of the page. Its words change only when what it tells does: a screen reader reads each change. */
export interface VaultTrouble {
  name: string;
  /** What does not work. */
  title: string;
  /** When that began, where it is known. */
  since?: string;
  /** Why, and what to do. */
  reason: string;
  /** What is kept, and what comes by itself. This and the reason may hold commands in backquotes. */
  kept: string;
}

const KINDS: Record<string, string> = { embedded: "built in", folder: "a folder of files", parachute: "Parachute" };
const REPLIES = "Replies to it are kept, too: `reveille undelivered list` shows them.";

export function vaultTroubles(health: Health | undefined): VaultTrouble[] {
  return (health?.vaults ?? []).flatMap((vault) => troubleOf(vault) ?? []);
}

function troubleOf(vault: VaultHealth): VaultTrouble | undefined {
  const { name, state, deliveries } = vault;
  // A pause between two attempts and an attempt are the same to a reader.
  const holdsReplies = Boolean(deliveries && deliveries.state !== "closed");
  const called = `The vault ${name} (${KINDS[vault.kind] ?? vault.kind})`;
  if (state === "ready") {
    if (!holdsReplies) return undefined;
    return {
      name,
      title: `${called} takes no replies now`,
      reason: sentence(deliveries?.last_error),
      kept: "Replies are kept and tried again: `reveille undelivered list` shows them.",
    };
  }
  const kept = state === "degraded" ? "What was accepted is kept." : "What was accepted is kept; it is tried again, and goes on by itself.";
  return {
    name,
    title: `${called} ${state === "degraded" ? "works only in part" : "cannot be used"}`,
    ...(vault.since ? { since: vault.since } : {}),
    reason: sentence(vault.reason),
    kept: holdsReplies ? `${kept} ${REPLIES}` : kept,
  };
}

/** With a full stop, as far as there is anything. The first letter stays: it may be that of a path. */
function sentence(text: string | null | undefined): string {
  const line = text?.trim() ?? "";
  return line === "" || /[.!?]$/.test(line) ? line : `${line}.`;
}
