// The token of the address, and the requests with it.
// It leaves the address bar at once and is kept for this tab alone; nothing else is stored.

const PATIENCE = 50_000; // milliseconds for an answer

const given = new URLSearchParams(location.hash.slice(1)).get("token");
if (given) {
  sessionStorage.setItem("token", given);
  history.replaceState(null, "", location.pathname + location.search);
}

export class RequestError extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

// Ask the server. A RequestError says what is wrong; its status is 0 without an answer.
export async function ask(path, query = {}, body = undefined) {
  const headers = { Authorization: `Bearer ${sessionStorage.getItem("token") ?? ""}` };
  const search = new URLSearchParams(query).toString();
  let answer;
  try {
    answer = await fetch(`api/${path}${search ? `?${search}` : ""}`, {
      method: body ? "POST" : "GET",
      body: body && JSON.stringify(body),
      headers,
      cache: "no-store",
      signal: AbortSignal.timeout(PATIENCE),
    });
  } catch {
    throw new RequestError(0, "");
  }
  const found = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new RequestError(answer.status, found.error ?? `${answer.status}`);
  return found;
}
