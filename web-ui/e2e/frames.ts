/** How long a page's frames take. */
import type { Page } from "playwright-core";

interface Watching {
  gaps: number[];
  tasks: number[];
}

/** Notes from now on when frames are drawn, and what keeps them waiting. */
export async function watchFrames(page: Page): Promise<void> {
  await page.evaluate(() => {
    const watching: Watching = { gaps: [], tasks: [] };
    let last = performance.now();
    const tick = (now: number): void => {
      watching.gaps.push(now - last);
      last = now;
      requestAnimationFrame(tick);
    };
    requestAnimationFrame(tick);
    new PerformanceObserver((list) => watching.tasks.push(...list.getEntries().map(({ duration }) => duration))).observe({ entryTypes: ["longtask"] });
    Object.assign(window, { watching });
  });
}

export async function frames(page: Page): Promise<{ p95: number; longest: number; report: string }> {
  const { gaps, tasks } = await page.evaluate(() => (window as unknown as { watching: Watching }).watching);
  gaps.sort((a, b) => a - b);
  const share = (part: number): number => gaps[Math.floor(part * (gaps.length - 1))] ?? NaN;
  const ms = (value: number): string => `${value.toFixed(0)} ms`;
  const task = Math.max(0, ...tasks);
  return {
    p95: share(0.95),
    longest: share(1),
    report: `${gaps.length} frames, median ${ms(share(0.5))}, 95 % ${ms(share(0.95))}, longest ${ms(share(1))}; ${tasks.length} tasks above 50 ms, the longest ${ms(task)}`,
  };
}
