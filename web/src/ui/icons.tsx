// Line icons of 24 x 24, drawn with the colour of the text; decoration only (hidden from readers).
const PATHS = {
  search: "M11 4a7 7 0 1 0 0 14 7 7 0 0 0 0-14ZM16.2 16.2 21 21",
  mic: "M12 3a3 3 0 0 0-3 3v6a3 3 0 0 0 6 0V6a3 3 0 0 0-3-3ZM5.5 11.500a6.5 6.5 0 0 0 13 0M12 18v3",
  file: "M12 16V4m0 0L7.5 8.500M12 4l4.5 4.500M4.5 15.500V19a1 1 0 0 0 1 1h13a1 1 0 0 0 1-1v-3.5",
  play: "M8 5.500v13l10.5-6.500Z",
  pause: "M8.5 6v12M15.5 6v12",
  more: "M4 12h2l2-6 3 13 3-10 2 5 1.5-2H20",
  like: "M7.5 11v8.500M4 11h3.500v8.500H4zM7.5 11l3.8-7c1.5 0 2.4 1.2 2 2.600L12.5 9.500h5.700a1.8 1.8 0 0 1 1.7 2.200l-1.4 6.400a1.8 1.8 0 0 1-1.7 1.400H7.5",
  unlike: "M16.5 13V4.500M20 13h-3.500V4.500H20zM16.5 13l-3.8 7c-1.5 0-2.4-1.2-2-2.600l.8-2.900H5.800a1.8 1.8 0 0 1-1.7-2.200l1.4-6.400a1.8 1.8 0 0 1 1.7-1.400h9.3",
  add: "M12 5v14M5 12h14",
  less: "M5 12h14",
  whole: "M4 9V4h5M20 9V4h-5M4 15v5h5M20 15v5h-5",
  check: "m5 12.5 4.5 4.500L19 7.5",
  close: "M6 6l12 12M18 6 6 18",
  link: "M10 14a4 4 0 0 0 5.7 0l3-3a4 4 0 0 0-5.7-5.700l-1 1M14 10a4 4 0 0 0-5.7 0l-3 3a4 4 0 0 0 5.7 5.700l1-1",
  sun: "M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8ZM12 2.500v2M12 19.500v2M2.5 12h2M19.5 12h2M5.3 5.300l1.4 1.400M17.3 17.300l1.4 1.400M5.3 18.700l1.4-1.400M17.3 6.700l1.4-1.4",
  help: "M9.3 9.300a2.8 2.8 0 1 1 4 2.700c-.8.5-1.3 1-1.3 2M12 17v.5M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18Z",
  crate: "M4 8h16v11.500H4zM4 8l2.5-3.500h11L20 8M9.5 12h5",
  drag: "M9 6v.01M15 6v.01M9 12v.01M15 12v.01M9 18v.01M15 18v.01",
  loop: "M17 3.5 20 6.500l-3 3M4 11.500v-1a4 4 0 0 1 4-4h12M7 20.500l-3-3 3-3M20 12.500v1a4 4 0 0 1-4 4H4",
  dice: "M5 5h14v14H5zM9 9v.01M15 9v.01M12 12v.01M9 15v.01M15 15v.01",
  past: "M4 12a8 8 0 1 0 2.6-5.900M4 4.500v4h4M12 8v4.500l3 1.500",
  next: "M6 6v12l8-6ZM18 6v12",
  previous: "M18 6v12l-8-6ZM6 6v12",
  onward: "M4 8h11M4 12h7M4 16h7M15 12.500v7l5.500-3.500Z",
  sound: "M4 9.500v5h3.500L12 18.500v-13L7.5 9.500ZM15.5 9a4 4 0 0 1 0 6M18 6.500a7.8 7.8 0 0 1 0 11",
  mute: "M4 9.500v5h3.500L12 18.500v-13L7.5 9.500ZM16 9.500l5 5M21 9.500l-5 5",
  lasso: "M12 4c4.7 0 8.5 2.4 8.5 5.500S16.7 15 12 15 3.5 12.6 3.5 9.5 7.3 4 12 4ZM8 14.500c-1.5 1-1.5 3 0 3.500s1.5 2 0 3",
  spectrum: "M5 20v-5M9.7 20V9M14.3 20V5M19 20v-8",
  stop: "M7 7h10v10H7z",
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name, size = 20 }: { name: IconName; size?: number }) {
  const solid = name === "play" || name === "stop";
  return (
    <svg
      class="icon"
      width={size}
      height={size}
      viewBox="0 0 24 24"
      fill={solid ? "currentColor" : "none"}
      stroke="currentColor"
      stroke-width={name === "drag" ? 2.6 : 1.7}
      stroke-linecap="round"
      stroke-linejoin="round"
      aria-hidden="true"
    >
      <path d={PATHS[name]} />
    </svg>
  );
}
