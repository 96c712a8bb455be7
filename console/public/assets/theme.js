// Before the first paint: the theme that the person chose. Without a choice the style sheet follows the system.
(() => {
  try {
    const kept = localStorage.getItem('havre.theme');
    if (kept === 'light' || kept === 'dark') document.documentElement.dataset.theme = kept;
    document.documentElement.lang = localStorage.getItem('havre.language') || 'en';
  } catch {
    // No storage: the system's theme it is.
  }
})();
