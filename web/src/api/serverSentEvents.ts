// The data of each event of a text/event-stream body (WHATWG HTML, 9.2.6; event names and ids are not used here).

/** Yields the joined `data:` lines of each event as it is complete. An event cut off by the end is dropped, as the standard says. */
export async function* serverSentEvents(body: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  const reader = body.getReader();
  let rest = '';
  let data: string[] = [];
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      rest += decoder.decode(value, { stream: true });
      const lines = rest.split(/\r\n|\n|\r(?=.)/s);
      rest = lines.pop() ?? '';
      for (const line of lines) {
        if (line === '') {
          if (data.length > 0) yield data.join('\n');
          data = [];
        } else if (line.startsWith('data:')) {
          data.push(line.slice(line[5] === ' ' ? 6 : 5));
        }
      }
    }
  } finally {
    // Leaving early ends the request: the server stops generating.
    reader.cancel().catch(() => {});
  }
}
