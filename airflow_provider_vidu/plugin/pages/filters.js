// SPDX-License-Identifier: Apache-2.0
// The filters of the library. Each change is shown at once and kept in the address.

import { state } from "./address.js";
import { element, plain } from "./parts.js";
import { t } from "./text.js";

const PAUSE_MILLISECONDS = 400;

export class Filters {
  constructor(change) {
    this.change = change;
    this.root = element("div", { className: "filters", role: "search" });
    this.choices = {};
  }

  // Builds all fields, in the current language.
  build() {
    const states = { stored: t("stateStored"), reused: t("outcome_reused"), running: t("stateRunning"), failed: t("failed"), uncertain: t("outcome_uncertain"), gone: t("stateGone") };
    this.root.ariaLabel = t("filters");
    this.selects = {
      dag: this.#select("dag", t("dag")),
      model: this.#select("model", t("model")),
      job: this.#select("job", t("job")),
      connection: this.#select("connection", t("connection")),
    };
    this.root.replaceChildren(
      this.#field("text", t("searchText"), { type: "search", maxLength: 500 }),
      ...Object.values(this.selects).map(({ parentElement }) => parentElement),
      this.#select("state", t("state"), states).parentElement,
      this.#field("run", t("run"), { type: "search", maxLength: 500 }),
      this.#field("since", t("since"), { type: "date" }),
      this.#field("until", t("until"), { type: "date" }),
      this.#field("least", t("least"), { type: "number", min: 0, step: "any" }),
      this.#field("most", t("most"), { type: "number", min: 0, step: "any" }),
    );
    this.offer(this.choices);
  }

  // Lets the user choose from the values that there are, and from the chosen one.
  offer(choices = this.choices) {
    this.choices = choices;
    for (const [name, select] of Object.entries(this.selects)) {
      const values = [...new Set([...(choices[name] ?? []), state[name]])].filter(Boolean).sort();
      if (JSON.stringify(values) !== select.dataset.values) this.#fill(select, Object.fromEntries(values.map((value) => [value, plain(value)])));
      select.dataset.values = JSON.stringify(values);
      select.value = state[name];
    }
  }

  #fill(select, labels) {
    const options = Object.entries({ "": t("all"), ...labels }).map(([value, label]) => element("option", { value }, label));
    select.replaceChildren(...options);
  }

  #select(name, label, labels = {}) {
    const select = element("select", {});
    this.#fill(select, labels);
    select.value = state[name];
    select.addEventListener("change", () => this.change({ [name]: select.value }));
    element("label", {}, element("span", {}, label), select);
    return select;
  }

  #field(name, label, properties) {
    const input = element("input", { ...properties, value: state[name] });
    let wait;
    input.addEventListener("input", () => {
      clearTimeout(wait);
      if (input.validity.valid) wait = setTimeout(() => input.isConnected && this.change({ [name]: input.value.trim() }), PAUSE_MILLISECONDS);
    });
    return element("label", {}, element("span", {}, label), input);
  }
}
