/** Where Cmd does what Ctrl does elsewhere. */
export const onMac = /^(Mac|iP)/.test(navigator.platform);

/** Where a middle click pastes what was selected last. */
export const hasPrimarySelection = /Linux|BSD/.test(navigator.platform) && !/Android/.test(navigator.userAgent);
