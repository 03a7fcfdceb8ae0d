import { useComputed } from "@preact/signals";
import { hashOf, type Route } from "../../route";
import { health, route } from "../../store";
import { troublePart, troubles } from "../../system/health";
import { type Room, ROOMS } from "./rooms";
import { keysShown } from "./keys";
import { ThemeSwitch } from "./ThemeSwitch";

/** The bar of rooms: at the side, or at the foot of a narrow screen. */
export function RoomBar() {
  const found = useComputed(() => troubles(health.value));
  return (
    <nav class="rooms" aria-label="Rooms">
      <ul>
        {ROOMS.map(({ view, label, icon, narrow, wide }) => {
          const wrong = view === "system" ? found.value.length : 0;
          return (
            <li key={view} class={narrow ? "phone-only" : wide ? "wide-only" : undefined}>
              <a href={hashOf(wrong > 0 ? { view: "system", path: [troublePart(found.value)] } : roomRoute(view))} aria-current={route.value.view === view ? "page" : undefined}>
                <span class="room-icon">
                  <svg viewBox="0 0 20 20" width="20" height="20" aria-hidden="true">
                    <path d={icon} fill="none" stroke="currentColor" stroke-width="1.7" stroke-linecap="round" stroke-linejoin="round" />
                  </svg>
                  {wrong > 0 ? <span class="room-dot" /> : null}
                </span>
                {label}
                {wrong > 0 ? <span class="visually-hidden">: {wrong === 1 ? "one thing is wrong" : `${wrong} things are wrong`}</span> : null}
              </a>
            </li>
          );
        })}
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

const roomRoute = (view: Room["view"]): Route => ({ view });
