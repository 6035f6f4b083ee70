/** A plot as SVG that GitHub shows: one panel a quantity, pods across on a logarithmic scale. */

const [WIDTH, HEIGHT, LEFT, BOTTOM, TOP] = [360, 240, 56, 36, 34];

/** @param {readonly { pods: number, cpuPerPod: number, heap: number, seconds: number }[]} results */
export function plot(results) {
  const panels = [
    ['Processor a pod, µs', results.map(({ cpuPerPod }) => cpuPerPod)],
    ['Heap a pod, KiB', results.map(({ heap, pods }) => (heap * 1024) / pods)],
  ];
  const sizes = results.map(({ pods }) => pods);
  const body = panels.map(([title, values], i) => panel(title, sizes, values, i * WIDTH)).join('\n');
  const size = `width="${panels.length * WIDTH}" height="${HEIGHT}"`;
  return `<svg xmlns="http://www.w3.org/2000/svg" ${size} font-family="sans-serif" font-size="11" fill="#444">
<rect ${size} fill="#fff"/>
${body}
</svg>
`;
}

function panel(title, sizes, values, offset) {
  const [low, high] = [Math.log10(Math.min(...sizes)), Math.log10(Math.max(...sizes))];
  const most = Math.max(...values) * 1.15;
  const x = (size) => LEFT + ((Math.log10(size) - low) / (high - low || 1)) * (WIDTH - LEFT - 24);
  const y = (value) => HEIGHT - BOTTOM - (value / most) * (HEIGHT - BOTTOM - TOP);
  const floor = HEIGHT - BOTTOM;
  const points = sizes.map((size, i) => [x(size).toFixed(1), y(values[i]).toFixed(1)]);
  return [
    `<g transform="translate(${offset} 0)">`,
    `<text x="${LEFT}" y="18" font-weight="bold">${title}</text>`,
    `<path d="M${LEFT} ${TOP}V${floor}H${WIDTH - 16}" fill="none" stroke="#bbb"/>`,
    `<polyline points="${points.map((point) => point.join(',')).join(' ')}" fill="none" stroke="#2266bb" stroke-width="2"/>`,
    ...points.map(([px, py], i) =>
      [
        `<circle cx="${px}" cy="${py}" r="3" fill="#2266bb"/>`,
        `<text x="${px}" y="${Number(py) - 8}" text-anchor="middle">${values[i].toFixed(values[i] < 10 ? 1 : 0)}</text>`,
        `<text x="${px}" y="${floor + 16}" text-anchor="middle">${sizes[i].toLocaleString('en')}</text>`,
      ].join('\n'),
    ),
    `<text x="${WIDTH - 16}" y="${floor + 30}" text-anchor="end">pods</text>`,
    '</g>',
  ].join('\n');
}
