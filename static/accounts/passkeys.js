// Shows what needs a passkey where the browser has them, and says so where one did not work.
document.addEventListener("DOMContentLoaded", () => {
  const isAddress = /^[\d.]+$|^\[/.test(location.hostname);
  if (!window.PublicKeyCredential || !window.isSecureContext || isAddress) {
    document.querySelectorAll("[data-no-passkey]").forEach((part) => { part.hidden = false; });
    return;
  }
  document.querySelectorAll("[data-passkey]").forEach((part) => { part.hidden = false; });
});
document.addEventListener("allauth.error", (event) => {
  event.preventDefault();
  document.querySelectorAll("[data-passkey-error]").forEach((part) => { part.hidden = false; });
});
