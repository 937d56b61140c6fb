// What goes wrong between the page and the server, in three kinds that are told apart by class.

/** The server said no: RFC 9457 with a stable `code`. */
export class ApiProblem extends Error {
  override name = "ApiProblem";
  constructor(
    readonly status: number,
    readonly code: string,
    readonly detail: string,
    /** Seconds to wait before trying again, where the server named them. */
    readonly retryAfter: number | null = null,
    /** Lets a person report a failure of the server. */
    readonly requestId: string | null = null,
  ) {
    super(detail);
  }
}

/** No answer came: offline, cut off, or too slow. What was asked may have happened all the same. */
export class NoAnswer extends Error {
  override name = "NoAnswer";
}

/** The person closed a dialog. Nothing to show. */
export class Cancelled extends Error {
  override name = "Cancelled";
}

export async function problemOf(response: Response): Promise<ApiProblem> {
  const retryAfter = Number(response.headers.get("retry-after")) || null;
  let body: { code?: unknown; detail?: unknown; request_id?: unknown } = {};
  try {
    body = (await response.clone().json()) as typeof body;
  } catch {
    // An answer that is no problem document comes from something in between.
  }
  const code = typeof body.code === "string" ? body.code : `http_${response.status}`;
  const detail =
    typeof body.detail === "string" ? body.detail : "The server gave an answer that this page does not understand.";
  const requestId = typeof body.request_id === "string" ? body.request_id : null;
  return new ApiProblem(response.status, code, detail, retryAfter, requestId);
}

export function isCode(error: unknown, ...codes: string[]): error is ApiProblem {
  return error instanceof ApiProblem && codes.includes(error.code);
}
