// <forecourt-list>: an element that fills itself with the best cars for the visitor. See docs/integrate.md.
//
//   <script src="https://recommender.example.com/static/sdk/widget.js" defer></script>
//   <forecourt-list placement="home" k="6" body="estate"></forecourt-list>

interface Car {
  id: number;
  external_id: string | null;
  listing_source: string;
  name: string;
  url: string;
  photo_url: string;
  place: string;
  reason: string;
  selling_price: number | null;
  currency: string;
  year: number | null;
  km_driven: number | null;
  position: number;
  promoted: boolean;
}

interface Page {
  recommended: Car[];
  list_id: string;
  next: string | null;
}

const OWN = ["host", "more", "advertisement", "class", "id", "style", "lang", "hidden", "slot"];
const SCRIPT = document.currentScript as HTMLScriptElement | null;
const CARD = `<a class="forecourt-card" data-href="url"><img data-src="photo_url" alt="" loading="lazy"><strong data-text="name"></strong>
<span data-text="price"></span><span data-text="details"></span><em data-text="reason"></em><small data-text="label"></small></a>`;

class ForecourtList extends HTMLElement {
  private readonly passing = crypto.randomUUID();
  private next: string | null = null;
  private isAsked = false;

  /** Called again when a page moves the element: it keeps its list then. */
  connectedCallback(): void {
    if (this.isAsked) return;
    this.isAsked = true;
    void this.show(this.address());
  }

  /** The attributes that are not the element's own are the question: `placement`, `k`, and every filter. */
  private address(): string {
    const question = new URLSearchParams();
    for (const { name, value } of this.attributes) {
      if (!OWN.includes(name) && !name.startsWith("data-") && !name.startsWith("aria-")) question.append(name, value);
    }
    return `?${question}`;
  }

  private async show(query: string): Promise<void> {
    const host = this.getAttribute("host") ?? (SCRIPT ? new URL(SCRIPT.src).origin : location.origin);
    const visitor = (window as { forecourt?: { key(): string } }).forecourt?.key() ?? this.passing;
    try {
      const language = this.lang || document.documentElement.lang;
      const answer = await fetch(`${host}/api/v1/cars/recommendations${query}`, {
        headers: { "X-Visitor-Key": visitor, ...(language ? { "Accept-Language": language } : {}) },
        credentials: "omit",
      });
      if (!answer.ok) throw new Error(`${answer.status}: ${(await answer.json()).error?.message}`);
      this.render((await answer.json()) as Page);
    } catch (error) {
      this.querySelector(":scope > .forecourt-more")?.removeAttribute("disabled");
      this.isAsked = this.querySelector(":scope > .forecourt-list") !== null;
      this.dispatchEvent(new CustomEvent("forecourt:error", { detail: error, bubbles: true }));
    }
  }

  private render(page: Page): void {
    const list = document.createElement("ol");
    list.className = "forecourt-list";
    list.dataset.forecourtList = page.list_id;
    for (const car of page.recommended) list.append(this.card(car));
    this.querySelector(":scope > .forecourt-more")?.remove();
    this.append(list);
    this.next = page.next;
    if (this.next && this.hasAttribute("more")) this.append(this.button());
    this.dispatchEvent(new CustomEvent("forecourt:list", { detail: page, bubbles: true }));
  }

  private button(): HTMLButtonElement {
    const button = document.createElement("button");
    button.className = "forecourt-more";
    button.textContent = this.getAttribute("more");
    button.onclick = () => {
      button.disabled = true;
      void this.show(new URL(String(this.next)).search);
    };
    return button;
  }

  private card(car: Car): HTMLLIElement {
    const item = document.createElement("li");
    item.dataset.forecourtPosition = String(car.position);
    if (car.external_id === null) item.dataset.forecourtId = String(car.id);
    else Object.assign(item.dataset, { forecourtCar: car.external_id, forecourtSource: car.listing_source });
    const own = this.querySelector<HTMLTemplateElement>(":scope > template");
    const template = own ?? Object.assign(document.createElement("template"), { innerHTML: CARD });
    item.append(template.content.cloneNode(true));
    this.fill(item, this.textsOf(car));
    return item;
  }

  /** Texts are written as text and addresses only if they are of the web, so that no car can bring a script. */
  private fill(item: HTMLElement, texts: Record<string, string>): void {
    for (const each of item.querySelectorAll<HTMLElement>("[data-text]")) {
      each.textContent = texts[each.dataset.text ?? ""] ?? "";
      if (!each.textContent) each.remove();
    }
    for (const each of item.querySelectorAll<HTMLElement>("[data-href],[data-src]")) {
      const { href, src } = each.dataset;
      const address = texts[href ?? src ?? ""] ?? "";
      if (/^(https?:\/\/|\/(?!\/))/i.test(address)) each.setAttribute(href ? "href" : "src", address);
      else if (src) each.remove();
    }
  }

  private textsOf(car: Car): Record<string, string> {
    const language = this.lang || document.documentElement.lang || undefined;
    const texts = Object.fromEntries(Object.entries(car).map(([name, value]) => [name, value === null ? "" : String(value)]));
    const money = { style: "currency", currency: car.currency, maximumFractionDigits: 0 } as const;
    return {
      ...texts,
      price: car.selling_price === null ? "" : new Intl.NumberFormat(language, money).format(car.selling_price),
      details: [car.year, car.km_driven !== null && `${car.km_driven.toLocaleString(language)} km`, car.place]
        .filter(Boolean)
        .join(" · "),
      label: car.promoted ? (this.getAttribute("advertisement") ?? "Ad") : "",
    };
  }
}

if (!customElements.get("forecourt-list")) customElements.define("forecourt-list", ForecourtList);
