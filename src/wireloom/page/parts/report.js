// Puts the report together: everything is drawn once, and the best wiring is chosen.
let selected = -1;

function choose(index) {
  if (index < 0 || index === selected) return;
  for (const old of [marks[selected], rows[selected]]) old?.setAttribute("aria-selected", false);
  selected = index;
  showSelected();
  drawPanel(wirings[index]);
  showRow(index);
}

drawLegend();
drawKey();
drawTable();
drawPlane();
$("panel").hidden = !wirings.length;
if (wirings.length) choose(wirings.indexOf(best));
new ResizeObserver(() => {
  const width = $("plane").clientWidth;
  if (width >= 280 && width !== drawnWidth) requestAnimationFrame(drawPlane);
}).observe($("plane"));
