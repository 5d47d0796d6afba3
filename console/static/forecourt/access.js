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

  const boxes = () => document.querySelectorAll("select.select2-hidden-accessible").forEach((select) => {
    const label = document.querySelector(`label[for="${CSS.escape(select.id)}"]`)?.textContent.trim() || select.name;
    const box = select.nextElementSibling;
    const combo = box?.querySelector(".select2-selection");
    combo?.removeAttribute("aria-labelledby");
    name(combo, label);
    name(box?.querySelector(".select2-search__field"), label);
    name(box?.querySelector(".select2-selection__rendered"), label);
  });

  document.addEventListener("DOMContentLoaded", landmarks);
  addEventListener("load", () => {
    landmarks();
    scrolled();
    boxes();
    new MutationObserver((changes) => { // boxes are made later too, such as those of a row that is added
      const made = changes.some((change) => [...change.addedNodes].some((node) => node.matches?.(".select2-container, .select2-search")));
      if (made) boxes();
    }).observe(document.body, { childList: true, subtree: true });
  });
})();
