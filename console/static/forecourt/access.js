// What assistive technology needs of pages whose layout is the theme's: a skip link, landmarks with names of their own, and
// names for the boxes that Select2 puts in place of selects. Pages work without it.
"use strict";
(() => {
  const name = (element, text) => element && text && element.setAttribute("aria-label", text);

  const landmarks = () => {
    const main = document.getElementById("main") ?? document.getElementById("page");
    if (main && !document.querySelector("main, [role=main]")) {
      main.setAttribute("role", "main");
      main.tabIndex = -1;
      const skip = Object.assign(document.createElement("a"), { href: `#${main.id}`, className: "fc-skip", textContent: "Skip to the page" });
      document.body.prepend(skip);
    }
    const [menu, ...others] = document.querySelectorAll("nav:not([aria-label])");
    name(menu, "Menu of the console");
    others.forEach((nav, at) => name(nav, at ? `Account ${at + 1}` : "Account"));
  };

  const scrolled = () => document.querySelectorAll(".simplebar-content-wrapper[role=region]").forEach((box, at) => {
    name(box, `Scrollable content ${at + 1}`);
    if (box.closest("nav")) box.removeAttribute("role"); // the menu is a landmark already
  });

  const reachable = () => document.querySelectorAll(".fc-table-box, .fc-scroll").forEach((box) => {
    if (box.scrollWidth > box.clientWidth) box.tabIndex = 0; // so that the keys scroll it
  });

  const boxes = () => document.querySelectorAll("select.select2-hidden-accessible").forEach((select) => {
    const label = document.querySelector(`label[for="${CSS.escape(select.id)}"]`)?.textContent.trim() || select.name;
    const box = select.nextElementSibling;
    const combo = box?.querySelector(".select2-selection");
    combo?.removeAttribute("aria-labelledby");
    name(combo, label);
    name(box?.querySelector(".select2-search__field"), label);
    name(box?.querySelector(".select2-selection__rendered"), label);
    box?.querySelector("ul > .select2-selection__clear")?.setAttribute("role", "listitem"); // a list holds nothing else
  });

  // Django's pairs of lists mark their help by a name on an element that may have none.
  const tooltips = () => document.querySelectorAll(".help-tooltip[aria-label]").forEach((one) => one.setAttribute("role", "img"));

  document.addEventListener("DOMContentLoaded", landmarks);
  addEventListener("load", () => {
    landmarks();
    scrolled();
    boxes();
    setTimeout(tooltips); // Django makes them when the page is loaded, too
    reachable();
    addEventListener("resize", reachable);
    new MutationObserver((changes) => { // boxes are made later too, such as those of a row that is added
      const made = changes.some((change) => [...change.addedNodes].some((node) => node.matches?.(".select2-container, .select2-search")));
      if (made) boxes();
    }).observe(document.body, { childList: true, subtree: true });
  });
})();
