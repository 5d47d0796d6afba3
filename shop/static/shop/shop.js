// What the shop window adds to HTMX: cards glide to their new places, a car opens in front of the list, and the keyboard
// keeps its place. Without this file every page works by itself.
"use strict";
(() => {
  const calm = matchMedia("(prefers-reduced-motion: reduce)");
  const dialog = () => document.getElementById("car");
  let places = new Map();

  const measure = () => {
    places = new Map();
    document.querySelectorAll("#live [data-card]").forEach((card) => places.set(card.dataset.card, card.getBoundingClientRect()));
  };

  const glide = () => {
    if (!places.size || calm.matches) { places.clear(); return; }
    document.querySelectorAll("#live [data-card]").forEach((card) => {
      const before = places.get(card.dataset.card);
      const now = card.getBoundingClientRect();
      if (!before) {
        card.animate([{ opacity: 0, transform: "scale(.92)" }, { opacity: 1, transform: "none" }], { duration: 520, easing: "ease-out" });
      } else if (before.left !== now.left || before.top !== now.top) {
        const from = `translate(${before.left - now.left}px, ${before.top - now.top}px)`;
        card.animate([{ transform: from, zIndex: 1 }, { transform: "none", zIndex: 1 }], { duration: 620, easing: "cubic-bezier(.2,.8,.2,1)" });
      }
    });
    places.clear();
  };

  // A click that asks for a new tab is the browser's own; without a dialog a car is a page.
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-car]");
    if (link && (event.ctrlKey || event.metaKey || event.shiftKey || !dialog())) event.stopImmediatePropagation();
    if (event.target === dialog() || event.target.closest("[data-closes], [data-close]")) dialog()?.close();
  }, true);

  document.addEventListener("htmx:configRequest", (event) => {
    const submitter = event.detail.triggeringEvent?.submitter;
    if (submitter?.hasAttribute("data-plain")) event.preventDefault();
  });
  document.addEventListener("submit", (event) => {
    const isPlain = event.submitter?.hasAttribute("data-plain");
    const isAlone = event.target.hasAttribute("data-in-car") && !dialog();
    if (isPlain || isAlone) event.stopImmediatePropagation(); // the browser sends it by itself
  }, true);

  document.addEventListener("htmx:beforeSwap", measure);
  document.addEventListener("htmx:afterSettle", (event) => {
    if (event.detail.target?.id === "car-body" && dialog() && !dialog().open) dialog().showModal();
    if (event.detail.target?.id === "car-body") dialog()?.scrollTo(0, 0);
    glide();
  });

  // A dialog that closes gives the focus back to what opened it; that card was exchanged meanwhile, or is in no list.
  let opened = null;
  document.addEventListener("click", (event) => {
    const card = event.target.closest("a[data-car]")?.closest("#live [data-card]");
    if (card) opened = { id: card.id, at: [...document.querySelectorAll("#live [data-card]")].indexOf(card) };
  }, true);
  document.addEventListener("close", (event) => {
    if (event.target !== dialog() || !opened) return;
    const cards = document.querySelectorAll("#live [data-card]");
    const card = document.getElementById(opened.id) ?? cards[Math.min(opened.at, cards.length - 1)];
    card?.querySelector("a.open")?.focus({ preventScroll: true });
    opened = null;
  }, true);

  let lastDeed = null;
  document.addEventListener("submit", (event) => {
    const cards = [...document.querySelectorAll("#live [data-card]")];
    lastDeed = cards.findIndex((card) => card.contains(event.submitter));
  });
  document.addEventListener("htmx:afterSettle", () => {
    if (lastDeed !== null && lastDeed >= 0 && document.activeElement === document.body) {
      const cards = document.querySelectorAll("#live [data-card] a.open");
      cards[Math.min(lastDeed, cards.length - 1)]?.focus({ preventScroll: true });
    }
    lastDeed = null;
  });
})();
