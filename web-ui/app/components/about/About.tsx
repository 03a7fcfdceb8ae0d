import { url } from "../../api";
import { useResource } from "../../resource";
import { health } from "../../store";
import { ErrorNote } from "../ErrorNote";
import { signOutAsked } from "../frame/SignOut";

interface Bundled {
  name: string;
  version: string;
  licence: string;
  text: string;
}

/** Written beside the page by its build. */
async function readLicences(): Promise<readonly Bundled[]> {
  const answer = await fetch(url("licences.json"));
  if (!answer.ok) throw new Error(`licences.json: status ${answer.status}`);
  return (await answer.json()) as Bundled[];
}

/** What this is, and what it is made of. */
export function About() {
  const licences = useResource(readLicences);
  return (
    <main class="page" id="main" tabIndex={-1}>
      <div class="about">
        <h1>About Reveille</h1>
        <p>Write a note; an agent wakes, does the work with Claude Code, and answers with a note.</p>
        {health.value?.version ? <p>Version {health.value.version}, under the MIT or the Apache-2.0 licence.</p> : null}
        <p>
          <a href={url("api/docs")}>The HTTP interface</a> of this daemon
        </p>
        <p>
          <button type="button" onClick={() => (signOutAsked.value = true)}>
            Sign out…
          </button>
        </p>
        <h2>In this page</h2>
        {licences.error.value ? <ErrorNote error={licences.error.value} /> : null}
        <ul class="licences">
          {licences.value.value?.map(({ name, version, licence, text }) => (
            <li key={name}>
              <details>
                <summary>
                  <strong>{name}</strong> {version} <span class="quiet">{licence}</span>
                </summary>
                <pre tabIndex={0}>{text}</pre>
              </details>
            </li>
          ))}
        </ul>
      </div>
    </main>
  );
}
