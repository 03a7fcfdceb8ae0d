/** Notes against a real daemon: what only its own vault can show. */
import { expect } from "vitest";
import type { Page } from "playwright-core";

/** Writes two notes that link to each other, finds them, changes one at the same time as somebody else, and deletes it. */
export async function notesWork(page: Page, folder: string): Promise<void> {
  const text = page.getByRole("textbox", { name: "Text", exact: true });
  const save = page.getByRole("button", { name: "Save", exact: true });
  const write = async (path: string, content: string): Promise<void> => {
    await page.evaluate(() => (location.hash = "#/notes"));
    await page.getByRole("link", { name: "New note" }).click();
    await page.getByRole("heading", { name: "New note" }).waitFor();
    await text.fill(content);
    await page.getByLabel("Path").fill(`${folder}/${path}`);
  };
  await write("House", `A house; see [[${folder}/Roof]].`);
  await page.getByLabel("Tags", { exact: true }).fill(`${folder},`);
  await page.keyboard.press("Control+s");
  await page.getByRole("heading", { name: "House", level: 1 }).waitFor();
  await write("Roof", "The roof leaks. Back to [[House]].");
  await page.getByRole("button", { name: "Add a key" }).click();
  await page.keyboard.type("rooms");
  await page.getByRole("combobox", { name: "Kind of rooms" }).selectOption("number");
  await page.getByRole("textbox", { name: "Value of rooms" }).fill("3");
  await save.click();
  await page.getByRole("region", { name: "Metadata" }).getByRole("row", { name: "rooms 3" }).waitFor();

  await page.locator(".note-text").getByRole("link", { name: "House" }).click();
  await page.getByRole("heading", { name: "House", level: 1 }).waitFor();
  await page.getByRole("region", { name: "Linked from" }).getByRole("link", { name: `${folder}/Roof` }).waitFor();
  await page.getByRole("region", { name: "Links to" }).getByRole("link", { name: `${folder}/Roof` }).waitFor();
  const files = page.getByRole("region", { name: "Attachments" });
  await files.locator("input[type=file]").setInputFiles({ name: "list.txt", mimeType: "text/plain", buffer: Buffer.from("slate") });
  await files.getByRole("link", { name: /list.txt/ }).waitFor();
  await files.getByRole("button", { name: "Remove", exact: true }).click();
  await files.getByRole("group", { name: "Remove list.txt?" }).getByRole("button", { name: "Remove" }).click();
  await files.getByRole("link", { name: /list.txt/ }).waitFor({ state: "detached" });

  await page.getByRole("link", { name: "Edit" }).click();
  await text.fill("Mine");
  const other = (body: unknown): Promise<number> =>
    page.evaluate(async ([key, json]) => {
      const answer = await fetch(`vault/default/api/notes/${key}`, { method: "PATCH", headers: { "content-type": "application/json" }, body: json ?? "" });
      return answer.status;
    }, [encodeURIComponent(`${folder}/House`), JSON.stringify(body)]);
  expect(await other({ content: "Theirs", force: true })).toBe(200);
  await save.click();
  const clash = page.getByRole("alert", { name: "Changed by somebody else, too" });
  await clash.locator(".line.removed").getByText("Theirs").waitFor();
  await clash.getByRole("button", { name: "Save mine over theirs" }).click();
  await page.getByText("Saved.", { exact: true }).waitFor();
  await text.fill("Mine again");
  expect(await other({ metadata: { seen: true }, force: true })).toBe(200);
  await save.click();
  await page.getByText("Meanwhile somebody else had changed the metadata (seen)").waitFor();

  const items = page.locator(".note-item [data-entry]");
  await page.evaluate(() => (location.hash = "#/notes/default"));
  await page.getByRole("searchbox", { name: "Search in notes" }).fill("lea");
  await expect.poll(() => items.allTextContents()).toEqual(["Roof"]);
  await page.getByRole("searchbox", { name: "Search in notes" }).fill("");
  await page.getByRole("button", { name: `${folder} 2`, exact: true }).click();
  await expect.poll(() => items.allTextContents()).toEqual(["House", "Roof"]);
  await page.getByRole("button", { name: `#${folder} 1`, exact: true }).click();
  await expect.poll(() => items.allTextContents()).toEqual(["House"]);
  await items.first().click();
  await page.getByRole("button", { name: "Delete", exact: true }).click();
  await page.getByRole("button", { name: "Delete it" }).click();
  await page.getByText("The note “House” is deleted.").waitFor();
}
