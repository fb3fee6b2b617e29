// The address as a signal: reading it subscribes, `go` and `ask` change it.
import { signal } from "@preact/signals";
import { EMPTY, format, parse, type Route } from "../lib/address";

export const route = signal<Route>(parse(location.search));

/** Change what is shown; `replace` leaves no step for the back button. */
export function go(patch: Partial<Route>, replace = false): void {
  const next = { ...route.value, ...patch };
  const to = format(next);
  if (to === format(route.value)) return;
  if (replace) history.replaceState(null, "", to);
  else history.pushState(null, "", to);
  route.value = next;
}

/** Start from an empty search, in this view. */
export function ask(patch: Partial<Route>): void {
  const { filters, where, by, sort, k } = route.value;
  go({ ...EMPTY, filters, where, by, sort, k, ...patch });
}

addEventListener("popstate", () => {
  route.value = parse(location.search);
});
