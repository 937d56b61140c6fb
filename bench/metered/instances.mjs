/** Imported before the Worker: keeps every WASM instance that it makes, so that its memory can be read. */
export const instances = [];

WebAssembly.Instance = class extends WebAssembly.Instance {
  constructor(module, imports) {
    super(module, imports);
    instances.push(this);
  }
};
