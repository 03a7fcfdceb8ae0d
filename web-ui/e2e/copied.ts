/** Buttons that copy. */
import type { Locator } from "playwright-core";

/** What the button says when it is clicked. It says so for two seconds only, so it is taken down when it is said. */
export async function copiedBy(button: Locator): Promise<string | null> {
  const told = await button.evaluateHandle((element) => ({
    word: new Promise<string | null>((resolve) => {
      new MutationObserver(() => resolve(element.getAttribute("aria-label"))).observe(element, { attributeFilter: ["aria-label"] });
    }),
  }));
  await button.click();
  return told.evaluate(({ word }) => word);
}
