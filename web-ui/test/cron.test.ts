import { describe, expect, it } from "vitest";
import { cronInWords } from "../app/jobs/cron";

describe("a cron expression", () => {
  it.each([
    ["* * * * *", "Every minute"],
    ["*/15 * * * *", "Every 15 minutes"],
    ["*/15 9-17 * * 1-5", "Every 15 minutes from 09:00 to 17:59, Monday to Friday"],
    ["* 3 * * *", "Every minute from 03:00 to 03:59"],
    ["0 * * * *", "Every hour"],
    ["@hourly", "Every hour"],
    ["17 * * * *", "Every hour at :17"],
    ["0,30 * * * *", "Every hour at :00 and :30"],
    ["0 */2 * * *", "Every 2 hours"],
    ["5 */6 * * *", "Every 6 hours at :05"],
    ["53 7 * * *", "Every day at 07:53"],
    [" @daily ", "Every day at 00:00"],
    ["0 9,12,17 * * *", "Every day at 09:00, 12:00 and 17:00"],
    ["30 9-17 * * 1-5", "Every hour from 09:30 to 17:30, Monday to Friday"],
    ["0 9 * * 1-5", "Monday to Friday at 09:00"],
    ["0 9 * * 0,6", "Every Saturday and Sunday at 09:00"],
    ["@weekly", "Every Sunday at 00:00"],
    ["@monthly", "On day 1 of every month at 00:00"],
    ["0 6 1,15 * *", "On days 1 and 15 of every month at 06:00"],
    ["0 6 1-7 * *", "On days 1 to 7 of every month at 06:00"],
    ["0 0 1 1 *", "On day 1 of the month in January at 00:00"],
    ["0 9 * 6-8 *", "Every day in June, July and August at 09:00"],
    // Both restrict the day, so that either is enough.
    ["0 0 13 * 5", "On day 13 of every month and also every Friday at 00:00"],
    ["0 0 1-31 * 1", "Every day at 00:00"],
    ["*/90 * * * *", "Every hour"],
    ["*/45 * * * *", "Every hour at :00 and :45"],
    ["0,20,40 8,10,12 * * *", "At :00, :20 and :40 in the hours 08, 10 and 12"],
    ["0 5/6 * * *", "Every day at 05:00, 11:00, 17:00 and 23:00"],
  ])("%s", (expression, words) => {
    expect(cronInWords(expression)).toBe(words);
  });

  it.each(["", "0 9 * *", "0 9 * * * *", "60 * * * *", "0 24 * * *", "0 0 0 * *", "0 0 * 13 *", "0 0 * * 7", "0 0 * * MON", "9-5 * * * *", "*/0 * * * *", "1,,2 * * * *", "@yearly", "-5 * * * *"])(
    "that is none has no words: %j",
    (expression) => {
      expect(cronInWords(expression)).toBeUndefined();
    },
  );
});
