// Saves a drawing (SVG) of ours as a picture (PNG), twice as fine. Without this script there is the drawing.
async function save(button) {
  const { png, name, width, height } = button.dataset;
  const drawing = new Image(2 * width, 2 * height);
  drawing.src = png;
  await drawing.decode();
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [drawing.width, drawing.height];
  canvas.getContext("2d").drawImage(drawing, 0, 0, canvas.width, canvas.height);
  canvas.toBlob((blob) => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  }, "image/png");
}

for (const button of document.querySelectorAll("[data-png]")) {
  button.hidden = false;
  button.addEventListener("click", () => save(button));
}
