// SPDX-License-Identifier: Apache-2.0
// Polls Airflow while the page is visible.

const SECONDS = 5;
const SECONDS_WHEN_OVER = 15;
const INSTANCES_A_SECOND = 100;
const LONGEST_SECONDS = 60;

// `load` returns {all, …} and `show` receives it. `fail` receives the error, and true if polling stops.
export async function watch(load, show, fail) {
  let failures = 0;
  for (;;) {
    let seconds;
    try {
      const answer = await load();
      await show(answer);
      failures = 0;
      const { all } = answer;
      // Poll more slowly the more there is to read. Poll more slowly, but never stop, when all tasks are over: a user
      // may still clear one.
      seconds = (all.every(({ over }) => over) ? SECONDS_WHEN_OVER : SECONDS) + all.length / INSTANCES_A_SECOND;
    } catch (error) {
      const isLast = [401, 403].includes(error.status);
      fail(error, isLast);
      if (isLast) return;
      seconds = SECONDS * 2 ** failures++;
    }
    await new Promise((resolve) => setTimeout(resolve, Math.min(seconds, LONGEST_SECONDS) * 1000));
    await untilSeen();
  }
}

export function untilSeen() {
  return new Promise((resolve) => {
    const check = () => {
      if (document.hidden) return;
      document.removeEventListener("visibilitychange", check);
      resolve();
    };
    document.addEventListener("visibilitychange", check);
    check();
  });
}
