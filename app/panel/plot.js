// A line with the area below it, in an SVG that stretches with its place.

const SVG = "http://www.w3.org/2000/svg";

// The smallest of 1, 2, 5, 10, 20, ... that is not below a number, and at least 4.
export function ceiling(most) {
  if (most <= 4) return 4;
  const ten = 10 ** Math.floor(Math.log10(most));
  return [1, 2, 5, 10].map((factor) => factor * ten).find((value) => value >= most);
}

export class Plot {
  constructor(svg, lines) {
    const box = svg.viewBox.baseVal;
    this.width = box.width;
    this.height = box.height;
    for (let line = 1; line <= lines; line += 1) {
      const y = (this.height * line) / (lines + 1);
      shape(svg, "path", "grid", `M0 ${y}H${this.width}`);
    }
    shape(svg, "path", "base", `M0 ${this.height - 0.5}H${this.width}`);
    this.area = shape(svg, "path", "area", "");
    this.line = shape(svg, "path", "curve", "");
  }

  draw(values) {
    const top = ceiling(Math.max(...values)) * 1.08;
    const step = this.width / (values.length - 1);
    const points = values.map((value, place) => {
      const y = this.height - 1.5 - (value / top) * (this.height - 3);
      return `${(place * step).toFixed(1)} ${y.toFixed(1)}`;
    });
    const curve = `M${points.join("L")}`;
    this.line.setAttribute("d", curve);
    this.area.setAttribute("d", `${curve}L${this.width} ${this.height}L0 ${this.height}Z`);
  }
}

function shape(svg, name, kind, path) {
  const node = document.createElementNS(SVG, name);
  node.setAttribute("class", kind);
  node.setAttribute("d", path);
  svg.append(node);
  return node;
}
