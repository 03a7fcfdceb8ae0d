import { partLabel } from "../../agent/fields";
import { settingRows } from "../../agent/standing";
import type { AgentDetail } from "../../api";
import { hashOf } from "../../route";

const FROM: Record<string, string> = {
  definition: "the definition",
  configuration: "the configuration",
  default: "the default",
  thread: "the conversation",
};

/** What counts for the next turn, and where each value comes from. */
export function Settings({ agent: { settings, lowered = [], name } }: { agent: AgentDetail }) {
  const rows = settingRows(settings);
  if (rows.length === 0) return null;
  const own = rows.filter(({ from }) => from === "definition").length;
  return (
    <details class="settings">
      <summary>
        Settings that count · {own === 0 ? "none" : own} from the definition
      </summary>
      <div class="scroll-x">
        <table>
          <thead>
            <tr>
              <th scope="col">Setting</th>
              <th scope="col">Value</th>
              <th scope="col">Comes from</th>
            </tr>
          </thead>
          <tbody>
            {rows.map(({ key, value, from }) => (
              <tr key={key} class={from === "definition" || from === "thread" ? "own" : undefined}>
                <th scope="row">
                  <code>{key}</code>
                  {partLabel(key) === key ? null : <span class="quiet"> {partLabel(key)}</span>}
                </th>
                <td>
                  {value || <span class="quiet">not set</span>}
                  {lowered
                    .filter((one) => one.key === key)
                    .map(({ asked, got }) => (
                      <p key={asked} class="less">
                        {asked === value ? "" : `${asked}: `}it has {got || "nothing"} instead (
                        <a href={hashOf({ view: "agent", name, tab: "sandbox" })}>why</a>)
                      </p>
                    ))}
                </td>
                <td>{FROM[from] ?? from}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </details>
  );
}
