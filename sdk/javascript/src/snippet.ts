// What visitors see, click and open, sent as events of a guest. One small script; see docs/integrate.md.
//
//   <script src="https://recommender.example.com/static/sdk/snippet.js" data-consent="required" defer></script>

/** The kind of event that says that a car was seen in a list. */
const IMPRESSION = "impression";
const DAY = 86_400_000; // milliseconds
const STORE = "forecourt";
const CLICKED = "forecourt-clicked";

interface Happening {
  kind: string;
  listing_id?: number;
  external_id?: string;
  source?: string;
  list_id?: string;
  position?: number;
  [field: string]: unknown;
}

(() => {
  const script = document.currentScript as HTMLScriptElement;
  const setting = script.dataset;
  const host = setting.host ?? new URL(script.src).origin;
  const rotateAfter = Number(setting.rotateDays ?? 30) * DAY;
  const seen = new Set<string>();
  const clocks = new WeakMap<Element, ReturnType<typeof setTimeout>>();
  const passing = randomKey(); // of this page, where none may be kept
  let waiting: Happening[] = [];
  let timer: ReturnType<typeof setTimeout> | undefined;

  function randomKey(): string {
    return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
  }

  /** What storage gives, or what stands for it where a browser has none or what it has is not ours. */
  function tried<T>(use: () => T, otherwise: T): T {
    try {
      return use();
    } catch {
      return otherwise;
    }
  }

  function stored(): { key: string; since: number } | null {
    return tried(() => JSON.parse(localStorage.getItem(STORE) ?? "null"), null);
  }

  function rotate(): string {
    const key = randomKey();
    return tried(() => (localStorage.setItem(STORE, JSON.stringify({ key, since: Date.now() })), key), passing);
  }

  let allowed = setting.consent !== "required" || !!stored();

  function forget(): void {
    allowed = false;
    waiting = [];
    tried(() => localStorage.removeItem(STORE), undefined);
    tried(() => sessionStorage.removeItem(CLICKED), undefined);
  }

  addEventListener("storage", (event) => {
    if ((event.key ?? STORE) === STORE && !event.newValue) forget(); // withdrawn in another tab
  });

  /** The guest's key; without consent one that ends with the page. */
  function key(): string {
    if (!allowed) return passing;
    const kept = stored();
    return kept && Date.now() - kept.since < rotateAfter ? kept.key : rotate();
  }

  function flush(): void {
    clearTimeout(timer);
    timer = undefined;
    if (!waiting.length) return;
    const address = `${host}/api/v1/events/beacon`;
    const body = JSON.stringify({ visitor_key: key(), events: waiting });
    waiting = [];
    if (!navigator.sendBeacon?.(address, body)) {
      void fetch(address, { method: "POST", body, mode: "no-cors", credentials: "omit" }).catch(() => 0);
    }
  }

  function track(kind: string, fields: Omit<Happening, "kind">): void {
    if (!allowed) return;
    waiting.push({ kind, event_id: randomKey(), occurred_at: new Date().toISOString(), ...fields });
    if (waiting.length > 49) flush();
    else timer ??= setTimeout(flush, 2000);
  }

  function carOf(element: HTMLElement): Omit<Happening, "kind"> {
    const { forecourtId, forecourtCar, forecourtSource, forecourtPosition } = element.dataset;
    const list = element.closest<HTMLElement>("[data-forecourt-list]")?.dataset.forecourtList;
    return {
      ...(forecourtId ? { listing_id: Number(forecourtId) } : { external_id: forecourtCar, source: forecourtSource }),
      ...(list ? { list_id: list, position: Number(forecourtPosition) || undefined } : {}),
    };
  }

  const nameOf = (car: Omit<Happening, "kind">): string => `${car.listing_id ?? ""}/${car.external_id ?? ""}`;

  // Half of it in view for a second is seen; once in each list.
  const observer = new IntersectionObserver(
    (entries) => {
      for (const { target, intersectionRatio } of entries) {
        clearTimeout(clocks.get(target));
        if (intersectionRatio < 0.5) continue;
        clocks.set(
          target,
          setTimeout(() => {
            observer.unobserve(target);
            const car = carOf(target as HTMLElement);
            const name = `${car.list_id}/${nameOf(car)}`;
            if (!allowed || seen.has(name)) return;
            seen.add(name);
            track(IMPRESSION, car);
          }, 1000),
        );
      }
    },
    { threshold: [0, 0.5] },
  );

  const CARS = "[data-forecourt-list] :is([data-forecourt-car],[data-forecourt-id])";

  /** Look for cars of lists, and for the car that the page is about. */
  function scan(root: ParentNode = document): void {
    for (const each of root.querySelectorAll(CARS)) observer.observe(each);
  }

  function open(): void {
    const page = document.querySelector<HTMLElement>("[data-forecourt-view]");
    if (!page) return;
    const { forecourtView, forecourtSource } = page.dataset;
    view({ external_id: forecourtView, source: forecourtSource });
  }

  let opened: { car: Omit<Happening, "kind">; at: number } | null = null;

  /** A car was opened. Where a click on it in a list was sent just now, that was it. */
  function view(car: Omit<Happening, "kind">): void {
    const clicked = tried(() => JSON.parse(sessionStorage.getItem(CLICKED) ?? "null"), null);
    tried(() => sessionStorage.removeItem(CLICKED), undefined);
    const isClicked = clicked && nameOf(clicked) === nameOf(car);
    if (!isClicked) track("view", car);
    opened = { car: isClicked ? clicked : car, at: Date.now() };
  }

  /** The page is left: for how long its car was looked at goes with the rest. */
  function leave(): void {
    if (opened) track("view", { ...opened.car, dwell_seconds: (Date.now() - opened.at) / 1000 });
    opened = null;
    flush();
  }

  document.addEventListener(
    "click",
    (event) => {
      const element = (event.target as Element).closest<HTMLElement>(CARS);
      if (!element || !allowed || !(event.target as Element).closest("a,button,[data-forecourt-click]")) return;
      const car = carOf(element);
      track("view", car);
      flush();
      tried(() => sessionStorage.setItem(CLICKED, JSON.stringify(car)), undefined);
    },
    true,
  );
  document.addEventListener("visibilitychange", () => document.visibilityState === "hidden" && flush());
  addEventListener("pagehide", leave);
  new MutationObserver((changes) => {
    for (const { target } of changes) scan((target as Element).parentElement ?? document);
  }).observe(document, { childList: true, subtree: true });

  Object.assign(window, {
    forecourt: {
      key,
      track,
      view,
      scan,
      flush,
      /** A login and a logout spend the key: call this after either. */
      rotate: () => {
        flush();
        return allowed ? rotate() : passing;
      },
      /** Whether events may be recorded and a key kept. Withdrawn, both are forgotten at once. */
      consent(is: boolean) {
        if (!is) return forget();
        const opens = !allowed; // a banner reports on every page, whose view was sent already
        allowed = true;
        key();
        if (opens) open();
      },
    },
  });
  scan();
  if (allowed) open();
})();
