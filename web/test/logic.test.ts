// The logic of the page that needs no browser: `npm test`.
import { describe, expect, it } from "vitest";
import { EMPTY, format, formatMoment, linked, parse, parseMoment } from "../src/lib/address";
import { aspectText } from "../src/lib/aspects";
import { events } from "../src/lib/events";
import { clock, fileName, folder, holdsNotes, isWhole, length, moment, percent, titleOf, whence } from "../src/lib/format";
import { fitting, Grid, inside, raster, topsOf, word, type Points } from "../src/lib/scatter";
import { peaksOfSamples } from "../src/lib/peaks";
import { audible } from "../src/lib/tune";
import { firstWindow, panned, zoomed } from "../src/lib/window";
import { rangeOf, toggled, whereOf } from "../src/lib/where";

describe("address", () => {
  it("comes back from its text", () => {
    const route = {
      ...EMPTY,
      text: "rain & wind",
      like: ["12#1.5-3", "7"],
      unlike: ["9"],
      filters: { genre: ["jazz", "it's"], pitch: ["40..60"] },
      aspects: { attack: 0.5 },
      k: 40,
      mode: "recommend" as const,
    };
    expect(parse(format(route).slice(1))).toEqual(route);
    expect(format(EMPTY)).toBe("/");
  });
  it("survives nonsense", () => {
    const route = parse("?view=nowhere&mode=x&k=-5&length=1e9&a.pitch=NaN&a.tone=99");
    expect(route).toMatchObject({ view: "search", mode: "search", k: 20, aspects: { tone: 2 } });
  });
  it("reads and writes moments", () => {
    expect(parseMoment("12#1.5-3")).toEqual({ track: "12", start: 1.5, end: 3 });
    expect(parseMoment("12")).toEqual({ track: "12", start: null, end: null });
    expect(formatMoment({ track: "12", start: 1.50004, end: 3 })).toBe("12#1.5-3");
    expect(formatMoment({ track: "12", start: 3, end: 3 })).toBe("12");
  });
  it("knows links to this page only", () => {
    expect(linked("http://here/?moment=4%231-2", "http://here")?.moment).toBe("4#1-2");
    expect(linked("http://there/?moment=4", "http://here")).toBeNull();
    expect(linked("rain", "http://here")).toBeNull();
  });
});

describe("where", () => {
  it("writes chips in the language of filters", () => {
    expect(whereOf({})).toBe("");
    expect(whereOf({ genre: ["jazz"] })).toBe("genre = 'jazz'");
    expect(whereOf({ genre: ["a", "b'c"] }, "x or y")).toBe("genre in ('a', 'b''c') and (x or y)");
    expect(whereOf({ "my field": ["1"] })).toBe("`my field` = '1'");
  });
  it("writes ranges", () => {
    expect(whereOf({ p: ["2..5.5"] })).toBe("p between 2 and 5.5");
    expect(whereOf({ p: ["2.."] })).toBe("p >= 2");
    expect(whereOf({ p: ["..-5"] })).toBe("p <= -5");
    expect(rangeOf("2..5")).toEqual(["2", "5"]);
    expect(rangeOf(undefined)).toEqual(["", ""]);
  });
  it("toggles", () => {
    expect(toggled(toggled({}, "a", "x"), "a", "y")).toEqual({ a: ["x", "y"] });
    expect(toggled({ a: ["x"] }, "a", "x")).toEqual({});
  });
});

describe("aspects", () => {
  const names = ["timbre", "pitch", "brightness"];
  it("are sent only when something was moved", () => {
    expect(aspectText({}, names)).toBe("");
    expect(aspectText({ timbre: 1, pitch: 0 }, names)).toBe("");
    expect(aspectText({ pitch: 0.5 }, names)).toBe("timbre=1,pitch=0.5");
    expect(aspectText({ timbre: 0, pitch: 1, brightness: -0.3 }, names)).toBe("pitch=1,brightness=-0.3");
  });
});

describe("format", () => {
  it("writes times", () => {
    expect([clock(7.46, true), clock(182), clock(3723), clock(null)]).toEqual(["0:07.5", "3:02", "1:02:03", "–"]);
    expect(clock(59.97, true)).toBe("1:00.0");
    expect(moment(1, 3)).toBe("0:01.0 – 0:03.0");
    expect(moment(null, 3)).toBe("");
  });
  it("names sounds", () => {
    expect(titleOf({ path: "/a/b/kick.01.wav" })).toBe("kick.01");
    expect(titleOf({ title: "Song", path: "x" })).toBe("Song");
    expect(fileName("z.zip!/d/e.wav")).toBe("e.wav");
    expect(folder("/a/b/c/d.wav")).toBe("… / b / c");
    expect(percent(0.996)).toBe("> 99 %");
  });
});

describe("events", () => {
  it("are cut where they end", () => {
    const [found, rest] = events('event: progress\ndata: {"a":1}\n\n: alive\n\ndata: x\ndata: y\n\nevent: do');
    expect(found).toEqual([
      { event: "progress", data: '{"a":1}' },
      { event: "message", data: "x\ny" },
    ]);
    expect(rest).toBe("event: do");
  });
});

describe("scatter", () => {
  const n = 2000;
  let seed = 1;
  const random = () => (seed = (seed * 16807) % 2147483647) / 2147483647;
  const points: Points = {
    x: Float32Array.from({ length: n }, () => random() * 10 - 3),
    y: Float32Array.from({ length: n }, () => random() * 4),
    shade: new Uint8Array(n),
  };
  const grid = new Grid(points);

  it("finds the nearest point, as the slow way does", () => {
    for (let k = 0; k < 200; k++) {
      const [x, y] = [random() * 12 - 4, random() * 5 - 0.5];
      let best = -1;
      let least = 0.3;
      for (let i = 0; i < n; i++) {
        const d = Math.hypot(points.x[i]! - x, points.y[i]! - y);
        if (d <= least) [least, best] = [d, i];
      }
      expect(grid.nearest(x, y, 0.3)).toBe(best);
    }
  });
  it("has no nearest in an empty map", () => {
    const none = new Grid({ x: new Float32Array(), y: new Float32Array(), shade: new Uint8Array() });
    expect(none.nearest(0, 0, 1)).toBe(-1);
  });
  it("lassoes what is inside", () => {
    const square: [number, number][] = [[0, 1], [2, 1], [2, 3], [0, 3]];
    const slow = [...points.x.keys()].filter(
      (i) => points.x[i]! > 0 && points.x[i]! < 2 && points.y[i]! > 1 && points.y[i]! < 3,
    );
    expect(inside(points, square)).toEqual(slow);
  });
  it("draws a point where it belongs, and none outside", () => {
    const one = { x: Float32Array.of(5, 1e9), y: Float32Array.of(5, -1e9), shade: Uint8Array.of(0, 0) };
    const pixels = new Uint32Array(100 * 50);
    raster(pixels, 100, 50, one, { x: 5, y: 5, scale: 1 }, Uint32Array.of(word("#ff8000")), 3);
    expect(pixels[25 * 100 + 50]).toBe(0xff0080ff);
    expect(pixels.filter((p) => p !== 0).length).toBeGreaterThan(20);
    expect(pixels.filter((p) => p !== 0).length).toBeLessThan(50);
  });
  it("fits a box", () => {
    expect(fitting({ x: 0, y: 0, width: 10, height: 5 }, 100, 100)).toMatchObject({ x: 5, y: 2.5, scale: expect.closeTo(9.2, 6) });
  });
});

describe("names of the map", () => {
  it("stand above their regions", () => {
    const tops = topsOf([0, 2, 10, 10], [1, 1, 7, null]);
    expect(tops.get(1)).toBeCloseTo(2.7);
    expect(tops.get(7)).toBe(10);
  });
});

describe("what a waveform shows", () => {
  it("is the whole, or a small moment with what is around it", () => {
    expect(firstWindow({ start: null, end: null }, 7200)).toBeNull();
    expect(firstWindow({ start: 1, end: 3 }, 60)).toBeNull();
    expect(firstWindow({ start: 3000, end: 3004 }, 7200)).toEqual({ start: 2986, end: 3018 });
    expect(firstWindow({ start: 7199, end: 7200 }, 7200)).toEqual({ start: 7180, end: 7200 });
  });
  it("zooms around a place, down to two seconds and out to the whole", () => {
    expect(zoomed({ start: 0, end: 100 }, 0.5, 25, 100)).toEqual({ start: 12.5, end: 62.5 });
    const near = zoomed({ start: 10, end: 13 }, 0.1, 12, 100);
    expect(near.end - near.start).toBeCloseTo(2);
    expect(zoomed({ start: 40, end: 60 }, 100, 50, 100)).toEqual({ start: 0, end: 100 });
    expect(zoomed({ start: 40, end: 60 }, 0.5, 90, 100)).toEqual({ start: 85, end: 95 });
  });
  it("moves, but not out of the track", () => {
    expect(panned({ start: 10, end: 20 }, 5, 100)).toEqual({ start: 15, end: 25 });
    expect(panned({ start: 10, end: 20 }, -50, 100)).toEqual({ start: 0, end: 10 });
    expect(panned({ start: 80, end: 90 }, 50, 100)).toEqual({ start: 90, end: 100 });
  });
});

describe("sounds and notes", () => {
  it("says how long in seconds while it is short", () => {
    expect([0.05, 7.24, 128, null].map(length)).toEqual(["0.05 s", "7.2 s", "2:08", "–"]);
  });
  it("knows a moment that is the whole", () => {
    expect(isWhole({ start: 0, end: 4.99, duration: 5 })).toBe(true);
    expect(isWhole({ start: 1, end: 3, duration: 5 })).toBe(false);
    expect(isWhole({ start: null, end: null, duration: 5 })).toBe(true);
    expect(isWhole({ start: 1, end: 3, duration: null })).toBe(false);
  });
  it("names a sound by its tags, its file's title, or its file", () => {
    const sound = { path: "/a/b/rain.wav", title: "Rain", tags: { title: "Heavy rain", artist: 7 } };
    expect([titleOf(sound), titleOf({ ...sound, tags: {} }), titleOf({ path: sound.path })]).toEqual(["Heavy rain", "Rain", "rain"]);
    expect([whence(sound), whence({ ...sound, artist: "Ann" })]).toEqual(["a / b", "Ann"]);
  });
  it("knows files of notes", () => {
    expect(["a.mid", "b.MIDI", "c.wav", "d.abc"].map(holdsNotes)).toEqual([true, true, false, true]);
  });
  it("draws samples as the server does", () => {
    const peaks = peaksOfSamples(Float32Array.from([0.5, -0.25, 0, 1]), 2, 2);
    expect(peaks).toMatchObject({ min: [-0.25, 0], max: [0.5, 1], duration: 2 });
    expect(peaksOfSamples(new Float32Array(0), 0, 2).max).toEqual([0, 0]);
  });
  it("sings a melody without a zero where one hears well", () => {
    expect(audible([60, null, 62])).toEqual([60, null, 62]);
    expect(audible([-1, 0, null, 1])).toEqual([63, 64, null, 65]);
    expect(audible([null])).toEqual([null]);
  });
});
