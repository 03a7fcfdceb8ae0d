import { hashOf } from "../../route";
import { route } from "../../store";
import { ROOMS } from "./rooms";
import { keysShown } from "./keys";
import { ThemeSwitch } from "./ThemeSwitch";

/** The bar of rooms: at the side, or at the foot of a narrow screen. */
export function RoomBar() {
  return (
    <nav class="rooms" aria-label="Rooms">
      <ul>
        {ROOMS.map(({ view, label, icon, narrow }) => (
          <li key={view} class={narrow ? "phone-only" : undefined}>
            <a href={hashOf({ view })} aria-current={route.value.view === view ? "page" : undefined}>
              <svg viewBox="0 0 20 20" width="20" height="20" aria-hidden="true">
                <path d={icon} fill="none" stroke="currentColor" stroke-width="1.7" stroke-linecap="round" stroke-linejoin="round" />
              </svg>
              {label}
            </a>
          </li>
        ))}
      </ul>
      <div class="rooms-end">
        <ThemeSwitch />
        <button type="button" class="wide-only" title="Keys (?)" aria-label="Keys" onClick={() => (keysShown.value = true)}>
          ?
        </button>
      </div>
    </nav>
  );
}
