import { bytes } from "../format";
import { fileUrl, type StoredFile } from "../turns";

/** What a browser shows as a picture and cannot run as a program. */
const PICTURES = ["image/png", "image/jpeg", "image/gif", "image/webp", "image/avif"];

/** The files of a message: pictures are shown, others are there to be saved. */
export function Files({ vault, files }: { vault: string | undefined; files: readonly StoredFile[] }) {
  if (!vault || files.length === 0) return null;
  return (
    <ul class="files" aria-label="Attached files">
      {files.map((file) => (
        <li key={file.path}>
          <a href={fileUrl(vault, file)} download={file.filename} class={PICTURES.includes(file.mimeType) ? "picture" : "file"}>
            {PICTURES.includes(file.mimeType) ? <img src={fileUrl(vault, file)} alt={file.filename} loading="lazy" /> : null}
            <span>
              <bdi>{file.filename}</bdi> {file.size == null ? null : <span class="quiet">{bytes(file.size)}</span>}
            </span>
          </a>
        </li>
      ))}
    </ul>
  );
}
