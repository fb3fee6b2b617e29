// Server-sent events read from a fetch, which can carry a token (EventSource cannot).

export interface ServerEvent {
  event: string;
  data: string;
}

/** The complete events of a text, and what is left of it. */
export function events(text: string): [ServerEvent[], string] {
  const blocks = text.replaceAll("\r\n", "\n").split("\n\n");
  const rest = blocks.pop() ?? "";
  const found = blocks.flatMap((block) => {
    let event = "message";
    const data: string[] = [];
    for (const line of block.split("\n")) {
      if (line.startsWith("event:")) event = line.slice(6).trim();
      if (line.startsWith("data:")) data.push(line.slice(5).replace(/^ /, ""));
    }
    return data.length ? [{ event, data: data.join("\n") }] : [];
  });
  return [found, rest];
}

export async function follow(response: Response, each: (event: ServerEvent) => void): Promise<void> {
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const [found, left] = events(rest + value);
    rest = left;
    found.forEach(each);
  }
}
