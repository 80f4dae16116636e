import { element } from "./controls.js";

/** Whether there is a camera to ask for. Its name and pictures come only when somebody has allowed that. */
export async function hasCamera() {
  const found = await navigator.mediaDevices?.enumerateDevices?.().catch(() => []);
  return (found ?? []).some((one) => one.kind === "videoinput");
}

/**
 * Shows what the camera sees until a picture is taken, which can be as soon as there is one. The camera is on as long as
 * that.
 *
 * @returns {Promise<ImageBitmap | null>}  null where nobody took one
 */
export async function takePicture() {
  const stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
  const dialog = element("camera-view", HTMLDialogElement);
  const video = element("camera-video", HTMLVideoElement);
  const take = element("camera-take", HTMLButtonElement);
  /** @type {ImageBitmap | null} */
  let picture = null;
  try {
    take.onclick = async () => {
      picture = await currentPicture(video);
      dialog.close();
    };
    video.requestVideoFrameCallback(() => {
      take.disabled = false;
      take.focus();
    });
    video.srcObject = stream;
    dialog.showModal();
    await new Promise((resolve) => { dialog.addEventListener("close", resolve, { once: true }); });
    return picture;
  } finally {
    take.disabled = true;
    video.srcObject = null;
    for (const track of stream.getTracks()) track.stop();
  }
}

/**
 * What a video shows. A browser that is busy may not have it at once, and one whose video is hidden may never.
 *
 * @param {HTMLVideoElement} video
 * @returns {Promise<ImageBitmap | null>}  null where it is closed before
 */
async function currentPicture(video) {
  while (video.srcObject) {
    try {
      return await createImageBitmap(video);
    } catch {
      await new Promise((resolve) => { setTimeout(resolve, 50); });
    }
  }
  return null;
}
