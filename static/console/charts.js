/* Draws the charts of a page from the data that stands in it. Without this script the table below each is the chart. */
(() => {
  "use strict";
  if (!window.uPlot) return;
  const HEIGHT = 220;

  const numbers = (data) => {
    const options = data.currency
      ? { style: "currency", currency: data.currency, maximumSignificantDigits: 4 }
      : { maximumFractionDigits: 0, notation: "compact" };
    const format = new Intl.NumberFormat(data.locale, options);
    return (value) => (value === null || value === undefined ? "" : format.format(value));
  };

  /* What stands beside the lines is short: $1.2K, ₹3L. */
  const ticks = (data) => {
    const money = data.currency ? { style: "currency", currency: data.currency } : {};
    const format = new Intl.NumberFormat(data.locale, { ...money, notation: "compact", maximumSignificantDigits: 3 });
    return (value) => format.format(value);
  };

  const hours = (data) =>
    new Intl.DateTimeFormat("en-US", {
      timeZone: data.timeZone,
      ...(data.isByDay ? { month: "short", day: "numeric" } : { hour: "2-digit", minute: "2-digit", hourCycle: "h23" }),
    });

  const moments = (data) => {
    const options = data.isByDay
      ? { month: "short", day: "numeric" }
      : { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
    return new Intl.DateTimeFormat("en-US", { ...options, timeZone: data.timeZone });
  };

  /* Parts of a whole are drawn as sums, the largest first, so that each one covers what is below it. */
  const columns = (data) => {
    if (data.kind !== "stack") return data.series.map((each) => each.values);
    const sums = data.times.map(() => 0);
    return data.series.map((each) => each.values.map((value, place) => (sums[place] += value)));
  };

  const draw = (figure) => {
    const plot = figure.querySelector(".chart-plot");
    const data = JSON.parse(document.getElementById(figure.dataset.chart).textContent);
    const reading = figure.querySelector(".chart-reading");
    const colour = (number) => getComputedStyle(figure.querySelector(`.swatch-${number}`)).backgroundColor;
    const soft = getComputedStyle(plot).color;
    const line = getComputedStyle(figure.querySelector(".chart-lines")).color;
    const number = numbers(data);
    const moment = moments(data);
    const tick = ticks(data);
    const hour = hours(data);
    const step = data.times.length > 1 ? data.times[1] - data.times[0] : 3600;
    const axis = { stroke: soft, font: "12px system-ui, sans-serif", grid: { stroke: line, width: 1 }, ticks: { stroke: line, width: 1 } };
    const isStack = data.kind === "stack";
    const order = data.series.map((each, place) => place);
    if (isStack) order.reverse();
    const values = columns(data);
    const series = order.map((place) => {
      const own = colour(data.series[place].number);
      return isStack
        ? { stroke: own, fill: own, width: 0, points: { show: false }, paths: uPlot.paths.bars({ size: [0.7, 48] }) }
        : { stroke: own, width: 2, dash: place === 0 ? [6, 4] : undefined, points: { show: data.times.length < 3 } };
    });
    const say = (self) => {
      const place = self.cursor.idx;
      if (place === null || place === undefined) {
        reading.textContent = "";
        return;
      }
      const parts = data.series.map((each) => `${each.name} ${number(each.values[place])}`);
      if (isStack && data.series.length > 1) {
        parts.unshift(`together ${number(data.series.reduce((sum, each) => sum + each.values[place], 0))}`);
      }
      reading.textContent = `${moment.format(data.times[place] * 1000)}: ${parts.join(" · ")}`;
    };
    const made = new uPlot(
      {
        width: Math.max(plot.clientWidth - 12, 200),
        height: HEIGHT,
        legend: { show: false },
        cursor: { y: false, points: { show: false }, drag: { x: false, y: false } },
        tzDate: (at) => uPlot.tzDate(new Date(at * 1000), data.timeZone),
        scales: { x: { range: (self, low, high) => [low - step / 2, high + step / 2] }, y: { range: (self, low, high) => [Math.min(low, 0), high > 0 ? high * 1.08 : 1] } },
        axes: [
          { ...axis, size: 32, values: (self, splits) => splits.map((at) => hour.format(at * 1000)) },
          { ...axis, size: 64, values: (self, splits) => splits.map(tick) },
        ],
        series: [{}, ...series],
        hooks: { setCursor: [say] },
      },
      [data.times, ...order.map((place) => values[place])],
      plot,
    );
    return made;
  };

  const textOf = (figure) => document.getElementById(figure.dataset.chart).textContent;
  const shown = new WeakMap();

  const show = (figure) => {
    const plot = figure.querySelector(".chart-plot");
    const twin = figure.querySelector("details");
    // Whether the table is open is the reader's choice, and stays so when the page refreshes itself.
    let isOpen = false;
    const restore = () => (twin.open = isOpen);
    twin.querySelector("summary").addEventListener("click", () => (isOpen = !twin.open));
    restore();
    shown.set(figure, { made: draw(figure), text: textOf(figure) });
    const again = () => {
      const one = shown.get(figure);
      one.made.destroy();
      shown.set(figure, { made: draw(figure), text: textOf(figure) });
    };
    new ResizeObserver(() => shown.get(figure).made.setSize({ width: Math.max(plot.clientWidth - 12, 200), height: HEIGHT })).observe(plot);
    window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);
    // A page that refreshes itself brings other numbers into the same figure.
    document.addEventListener("htmx:after:swap", () => {
      restore();
      if (figure.isConnected && shown.get(figure).text !== textOf(figure)) again();
    });
  };

  const showAll = () => {
    for (const figure of document.querySelectorAll("[data-chart]")) if (!shown.has(figure)) show(figure);
  };

  showAll();
  document.addEventListener("htmx:after:swap", showAll);
})();
