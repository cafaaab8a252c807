// While something runs: fetches this address again and replaces #live, and #live-head with name and state.
// Focus and scrolling stay where they are, also those of regions inside; a log that is read at its end goes on there.
const QUICK = 2000;
const SLOW = 30000;

function replaced(old, fresh) {
  if (old.isEqualNode(fresh)) return;
  const open = new Set([...old.querySelectorAll("details[open][id]")].map((one) => one.id));
  for (const one of fresh.querySelectorAll("details[id]")) one.open = open.has(one.id);
  const regions = [...old.querySelectorAll("[role=region]")].map((one) => ({
    label: one.getAttribute("aria-label"),
    top: one.scrollTop,
    left: one.scrollLeft,
    follows: "log" in one.dataset && one.scrollHeight - one.scrollTop - one.clientHeight < 8,
  }));
  old.replaceWith(fresh);
  for (const one of fresh.querySelectorAll("[role=region]")) {
    const before = regions.find((other) => other.label === one.getAttribute("aria-label"));
    if (before) one.scrollTo(before.left, before.follows ? one.scrollHeight : before.top);
  }
}

async function refresh() {
  const old = document.getElementById("live");
  const busy = old.contains(document.activeElement) || String(getSelection()).length > 0;
  if (!document.hidden && !busy) {
    try {
      const answer = await fetch(location.href, { headers: { "X-Fragment": "live" } });
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const fresh = page.getElementById("live");
      if (answer.ok && !fresh) {
        location.reload();
        return;
      }
      if (fresh) replaced(old, fresh);
      const head = document.getElementById("live-head");
      const freshHead = page.getElementById("live-head");
      if (head && freshHead && !head.contains(document.activeElement)) head.replaceWith(freshHead);
    } catch {
      // the next time may be better
    }
  }
  setTimeout(refresh, document.hidden ? SLOW : QUICK);
}

const log = document.querySelector("[data-log]");
if (log) log.scrollTop = log.scrollHeight;
setTimeout(refresh, QUICK);
