import { element } from "./controls.js";

/** Whether there is a camera to ask for. Its name and pictures come only when somebody has allowed that. */
export async function hasCamera() {
  const found = await navigator.mediaDevices?.enumerateDevices?.().catch(() => []);
  return (found ?? []).some((one) => one.kind === "videoinput");
}

/**
 * Shows what the camera sees until a picture is taken. The camera is on as long as that.
 *
 * @returns {Promise<ImageBitmap | null>}  null where nobody took one
 */
export async function takePicture() {
  const stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
  const dialog = element("camera-view", HTMLDialogElement);
  const video = element("camera-video", HTMLVideoElement);
  try {
    video.srcObject = stream;
    dialog.returnValue = "";
    dialog.showModal();
    await new Promise((resolve) => { dialog.addEventListener("close", resolve, { once: true }); });
    return dialog.returnValue === "take" && video.videoWidth ? await createImageBitmap(video) : null;
  } finally {
    video.srcObject = null;
    for (const track of stream.getTracks()) track.stop();
  }
}
