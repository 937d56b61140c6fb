// The one way to the server. `await call(api.GET('/keys'))` gives the body or throws: ApiProblem, NoAnswer.

import createClient from "openapi-fetch";
import { session } from "../stores/session.svelte";
import { isCode, NoAnswer, problemOf } from "./problem";
import { send } from "./send";
import type { paths } from "./types";

/** Requests with the access token; a token that has run out is renewed once. */
export const api = createClient<paths>({ fetch: authorised });

async function authorised(request: Request): Promise<Response> {
  const again = request.clone();
  const token = await session.accessToken();
  try {
    return await send(withToken(request, token));
  } catch (error) {
    if (!token || !isCode(error, "access_token_invalid")) throw error;
  }
  return send(withToken(again, await session.accessToken({ not: token })));
}

function withToken(request: Request, token: string | null): Request {
  if (token) request.headers.set("Authorization", `Bearer ${token}`);
  return request;
}

type Answer<T> = { data?: T; response: Response };

/** The body of an answer. */
export async function call<T>(answer: Promise<Answer<T>>): Promise<T> {
  const { data, response } = await answer;
  if (data === undefined && response.status !== 204) {
    if (!response.ok) throw await problemOf(response);
    throw new NoAnswer("The answer broke off.");
  }
  return data as T;
}
