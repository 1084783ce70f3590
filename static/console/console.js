/* What pages do better with a script; each of them works without.
   Links with data-dialog open the act of their page over this one, Ctrl K opens the search, times say the reader's own. */
(() => {
  "use strict";

  const dialog = document.getElementById("dialog");
  const canOpen = dialog && typeof dialog.showModal === "function";
  // Whether something was done in the dialog that the page below it does not show yet.
  let isStale = false;

  const read = async (response) => new DOMParser().parseFromString(await response.text(), "text/html");

  const show = (page) => {
    const act = page.getElementById("act");
    if (!act) return false;
    dialog.replaceChildren(document.importNode(act, true));
    dialog.setAttribute("aria-label", act.querySelector("h1")?.textContent.trim() ?? "Form");
    if (!dialog.open) dialog.showModal();
    if (window.htmx) window.htmx.process(dialog);
    const invalid = dialog.querySelector("[aria-invalid=true]");
    const first = dialog.querySelector("[autofocus], input:not([type=hidden]), select, textarea, button, a[href]");
    (invalid ?? first)?.focus();
    return true;
  };

  const open = async (address) => {
    try {
      const response = await fetch(address, { headers: { "X-Dialog": "1" } });
      if (!response.ok || response.redirected || !show(await read(response))) window.location.assign(address);
    } catch {
      window.location.assign(address);
    }
  };

  const send = async (form, submitter) => {
    const buttons = [...form.querySelectorAll("button[type=submit]")];
    const body = new URLSearchParams(new FormData(form, submitter));
    buttons.forEach((button) => (button.disabled = true));
    try {
      const response = await fetch(form.action, { method: "POST", body, headers: { "X-Dialog": "1" } });
      const page = await read(response);
      isStale ||= response.ok;
      // A redirect that leads to no act leads to the page that shows what was done.
      if (!show(page)) window.location.assign(response.url);
    } catch {
      buttons.forEach((button) => (button.disabled = false));
      form.submit();
    }
  };

  if (canOpen) {
    document.addEventListener("click", (event) => {
      if (event.target.closest("#dialog [data-close]")) {
        event.preventDefault();
        dialog.close();
        return;
      }
      const link = event.target.closest("a[data-dialog]");
      if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return;
      event.preventDefault();
      open(link.href);
    });

    dialog.addEventListener("submit", (event) => {
      const form = event.target;
      if (form.method !== "post" || form.hasAttribute("data-whole-page")) return;
      event.preventDefault();
      send(form, event.submitter);
    });

    dialog.addEventListener("close", () => {
      dialog.replaceChildren();
      if (isStale) window.location.reload();
    });
  }

  document.addEventListener("keydown", (event) => {
    if (event.key.toLowerCase() === "k" && (event.ctrlKey || event.metaKey) && !event.altKey && !event.shiftKey) {
      const field = document.getElementById("palette-q");
      const link = document.querySelector("a[data-palette]");
      if (!field && !link) return;
      event.preventDefault();
      if (field) field.focus();
      else link.click();
      return;
    }
    // Up and down go through what was found.
    const palette = event.target.closest?.(".palette");
    if (!palette || (event.key !== "ArrowDown" && event.key !== "ArrowUp")) return;
    const stops = [palette.querySelector("#palette-q"), ...palette.querySelectorAll(".found-link")];
    const next = stops[stops.indexOf(document.activeElement) + (event.key === "ArrowDown" ? 1 : -1)];
    if (next) {
      event.preventDefault();
      next.focus();
    }
  });

  // Enter in the search goes to the first place that was found.
  document.addEventListener("submit", (event) => {
    const first = event.target.closest(".palette")?.querySelector(".found-link");
    if (!first || event.target.querySelector("#palette-q")?.value.trim().startsWith("dec_")) return;
    event.preventDefault();
    event.stopPropagation();
    window.location.assign(first.href);
  }, true);

  // On a phone a tenant's tabs are one line: that of this page is in sight.
  document.querySelector(".tenant-tabs [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });

  // The time on the reader's own clock joins the exact one that a page shows on hover.
  document.addEventListener("pointerover", (event) => {
    const time = event.target.closest?.("time[datetime]");
    if (!time || time.dataset.own) return;
    time.dataset.own = "1";
    const at = new Date(time.dateTime);
    if (Number.isNaN(at.getTime()) || !time.dateTime.includes("T")) return;
    const own = at.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "medium" });
    time.title = `${time.title}\nYour clock: ${own}`.trim();
  });
})();
