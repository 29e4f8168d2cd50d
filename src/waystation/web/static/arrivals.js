// <div data-awaits="claimed" data-of="…">: once the stream tells of that event (about that one, if it says about which),
// what is marked data-until goes and what is marked data-then comes, with a link to the device.

function arrive(place, { key, name }) {
  for (const link of place.querySelectorAll("[data-then] a")) {
    link.href = `/devices/${encodeURIComponent(key)}`;
    link.textContent = name;
  }
  for (const part of place.querySelectorAll("[data-until]")) part.hidden = true;
  for (const part of place.querySelectorAll("[data-then]")) part.hidden = false;
}

document.addEventListener("waystation:device", ({ detail }) => {
  for (const place of document.querySelectorAll("[data-awaits]")) {
    const awaited = detail.event === place.dataset.awaits && [undefined, null, place.dataset.of].includes(detail.claim);
    if (awaited) arrive(place, detail);
  }
});
