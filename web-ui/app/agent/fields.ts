/** The keys of a definition that the page has a field for. */

export interface SettingField {
  key: string;
  label: string;
  /** What to write, or what it does. */
  help?: string;
  kind: "text" | "number" | "choice";
  /** Word of the note and what it means; the first is what holds when the note says nothing. */
  choices?: readonly (readonly [word: string, label: string])[];
}

export interface SettingGroup {
  title: string;
  fields: readonly SettingField[];
}

export const MODEL: SettingField = {
  key: "model", label: "Model", kind: "text", help: "Such as sonnet or claude-opus-4-8. Empty: the one of the configuration.",
};

export const WANTS: SettingField = {
  key: "wants", label: "Connections that it wants", kind: "text",
  help: "Such as env:github, mcp:https://example.org/mcp or vault:library:read, with spaces between. Each is approved before it is given.",
};

export const GROUPS: readonly SettingGroup[] = [
  {
    title: "Conversation",
    fields: [
      {
        key: "backend", label: "Who runs its turns", kind: "choice",
        choices: [["programmatic", "the daemon"], ["attached", "a session that takes its messages"]],
      },
      {
        key: "mode", label: "Messages", kind: "choice",
        choices: [["single-threaded", "continue one conversation"], ["multi-threaded", "each begin a fresh one"]],
      },
      {
        key: "message_mode", label: "A message that comes while it works", kind: "choice",
        choices: [["followup", "waits for a turn of its own"], ["collect", "waits and shares a turn with others"], ["interrupt", "stops the turn that runs"]],
      },
      {
        key: "on_interrupt", label: "After a restart of the daemon", kind: "choice",
        choices: [["continue", "the interrupted turn goes on"], ["stop", "the interrupted turn stays stopped"]],
      },
      {
        key: "systemPromptMode", label: "Claude Code's own instructions", kind: "choice",
        choices: [["append", "come before the role"], ["replace", "are left out"]],
      },
    ],
  },
  {
    title: "Limits",
    fields: [
      { key: "timeout_idle", label: "Longest silence of a turn", kind: "text", help: "Such as 90s, 5m or 1h 30m." },
      { key: "timeout_wall", label: "Longest turn", kind: "text", help: "Such as 30m or 2h." },
      { key: "max_turns", label: "Most steps of a turn", kind: "number", help: "A whole number." },
      { key: "budget_turn_usd", label: "Most US dollars of a turn", kind: "number", help: "Such as 0.50." },
      { key: "budget_day_usd", label: "Most US dollars of a day", kind: "number", help: "Such as 5; a day is one of UTC." },
      { key: "keep_warm", label: "Kept ready after a turn", kind: "text", help: "A time span such as 5m, or true or false." },
    ],
  },
  {
    title: "Reach",
    fields: [
      { key: "workspace", label: "Working directory", kind: "text", help: "An absolute path. Empty: one of its own." },
      {
        key: "filesystem", label: "Files", kind: "choice",
        choices: [["workspace", "only its working directory"], ["full", "all that the daemon may read"]],
      },
      { key: "network", label: "Network", kind: "choice", choices: [["open", "every host"], ["proxied", "every public address"], ["restricted", "only the hosts below"]] },
      { key: "egress", label: "Hosts that it may reach", kind: "text", help: "Such as example.com, example.com:8443 or *.example.com, with spaces between." },
      { key: "mounts", label: "Directories besides its own", kind: "text", help: 'A list such as [{"hostPath": "/srv/data", "mountPath": "/srv/data", "mode": "ro"}].' },
      { key: "vault_tools", label: "Tools for the notes", kind: "choice", choices: [["true", "it has them"], ["false", "it has none"]] },
      {
        key: "defines_agents", label: "Making agents", kind: "choice",
        choices: [["false", "it may not write definitions"], ["true", "it may write definitions"]],
      },
    ],
  },
];

/** What a part of a definition is called on this page. */
export function partLabel(key: string): string {
  if (key === "name") return "Name";
  if (key === "prompt") return "Role";
  return ALL.find((field) => field.key === key)?.label ?? key;
}

export const ALL: readonly SettingField[] = [MODEL, WANTS, ...GROUPS.flatMap((group) => group.fields)];
