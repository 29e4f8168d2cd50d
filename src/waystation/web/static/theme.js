// Light, dark or as the system says. A classic script in the head, so that the choice holds before the first paint.
(() => {
  const KEY = "waystation-theme";
  const WORDS = { auto: "automatic", light: "light", dark: "dark" };
  const NEXT = { auto: "light", light: "dark", dark: "auto" };

  function chosen() {
    try {
      const kept = localStorage.getItem(KEY);
      return Object.hasOwn(WORDS, kept) ? kept : "auto";
    } catch {
      return "auto"; // storage can be forbidden
    }
  }

  function keep(theme) {
    try {
      localStorage.setItem(KEY, theme);
    } catch {
      // then it holds for this page only
    }
  }

  function show(theme) {
    document.documentElement.dataset.theme = theme;
    const word = document.querySelector("#theme .visually-hidden");
    if (word) word.textContent = `Theme: ${WORDS[theme]}`;
    document.dispatchEvent(new CustomEvent("waystation:theme", { detail: theme }));
  }

  show(chosen());
  document.addEventListener("DOMContentLoaded", () => show(chosen()));
  document.addEventListener("click", (event) => {
    if (!event.target.closest("#theme")) return;
    const theme = NEXT[document.documentElement.dataset.theme];
    keep(theme);
    show(theme);
  });
})();
