/* Forms in dialogs: a link with data-dialog opens the act of its page over this one. Without this script it is a page. */
(() => {
  "use strict";
  const dialog = document.getElementById("dialog");
  if (!dialog || !dialog.showModal) return;

  const show = (page) => {
    const act = page.getElementById("act");
    if (!act) return false;
    dialog.replaceChildren(document.importNode(act, true));
    if (window.htmx) window.htmx.process(dialog);
    if (!dialog.open) dialog.showModal();
    const first = dialog.querySelector("[autofocus], input:not([type=hidden]), select, textarea, button");
    if (first) first.focus();
    return true;
  };

  const read = async (response) => new DOMParser().parseFromString(await response.text(), "text/html");

  document.addEventListener("click", async (event) => {
    const close = event.target.closest("#dialog [data-close]");
    if (close) {
      event.preventDefault();
      dialog.close();
      return;
    }
    const link = event.target.closest("a[data-dialog]");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return;
    event.preventDefault();
    try {
      const response = await fetch(link.href, { headers: { "X-Dialog": "1" } });
      if (!response.ok || response.redirected || !show(await read(response))) window.location.assign(link.href);
    } catch {
      window.location.assign(link.href);
    }
  });

  dialog.addEventListener("submit", async (event) => {
    const form = event.target;
    if (form.method !== "post" || form.hasAttribute("data-whole-page")) return;
    event.preventDefault();
    const button = form.querySelector("button[type=submit]");
    if (button) button.disabled = true;
    const body = new URLSearchParams(new FormData(form, event.submitter));
    let response;
    try {
      response = await fetch(form.action, { method: "POST", body, headers: { "X-Dialog": "1" } });
    } catch {
      if (button) button.disabled = false;
      form.submit();
      return;
    }
    const page = await read(response);
    if (!show(page)) window.location.assign(response.url);
  });

  dialog.addEventListener("close", () => dialog.replaceChildren());
})();
