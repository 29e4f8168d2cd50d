// Elements in one expression.

/** An element with properties (`dataset` too) and children. */
export function make(tag, options = {}, ...children) {
  const { dataset = {}, ...rest } = options;
  const element = Object.assign(document.createElement(tag), rest);
  Object.assign(element.dataset, dataset);
  element.append(...children);
  return element;
}
