// SPDX-License-Identifier: Apache-2.0
// Asks Airflow again while the page is looked at.

const SECONDS = 5;
const SECONDS_WHEN_OVER = 15;
const INSTANCES_A_SECOND = 100;
const LONGEST_SECONDS = 60;

// `load` gives {told, …}, `show` gets it, `fail` gets what went wrong and whether Airflow is asked no more.
export async function watch(load, show, fail) {
  let failures = 0;
  for (;;) {
    let seconds;
    try {
      const answer = await load();
      await show(answer);
      failures = 0;
      const { told } = answer;
      // The more there is to read, the less often it is asked for; and less where nothing is on its way, since somebody may
      // clear a task all the same.
      seconds = (told.every(({ over }) => over) ? SECONDS_WHEN_OVER : SECONDS) + told.length / INSTANCES_A_SECOND;
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

function untilSeen() {
  return new Promise((resolve) => {
    const look = () => {
      if (document.hidden) return;
      document.removeEventListener("visibilitychange", look);
      resolve();
    };
    document.addEventListener("visibilitychange", look);
    look();
  });
}
